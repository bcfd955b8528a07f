"""What this distribution registers."""

from graftwork.core import DatasetSpec, hookimpl


@hookimpl
def datasets() -> list[DatasetSpec]:
    """The data sets of text-to-image backbones."""
    return [
        DatasetSpec(
            name="subject",
            target="graftwork.data.subject:Subject",
            config="graftwork.data.subject:SubjectConfig",
            summary="a few images of one subject, captioned from a template",
            task="text-to-image",
            cites=("arXiv:2208.12242 Ruiz et al. 2023, DreamBooth",),
        ),
        DatasetSpec(
            name="image-folder",
            target="graftwork.data.image_folder:ImageFolder",
            config="graftwork.data.image_folder:ImageFolderConfig",
            summary="images with captions in .txt files or metadata.jsonl",
            task="text-to-image",
        ),
    ]
