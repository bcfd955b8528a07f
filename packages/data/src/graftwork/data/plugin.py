"""What this distribution registers."""

from graftwork.core import DatasetSpec, hookimpl

_VALLEY = (
    "arXiv:2306.07207 Luo et al. 2023, Valley: Video Assistant with Large Language model Enhanced "
    "abilitY"
)


@hookimpl
def datasets() -> list[DatasetSpec]:
    """Of text-to-image backbones, raw-video denoisers, video LLMs and image classifiers."""
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
        DatasetSpec(
            name="raw-photographs",
            target="graftwork.data.raw.photograph_set:RawPhotographs",
            config="graftwork.data.raw.photograph_set:RawPhotographsConfig",
            summary="photographs of other wheels as noisy raw clips of a moving camera",
            task="raw-video",
            extra="raw",
        ),
        DatasetSpec(
            name="raw-clips",
            target="graftwork.data.raw.clip_set:RawClips",
            config="graftwork.data.raw.clip_set:RawClipsConfig",
            summary="your own raw clips in folders: TIFF, PNG or DNG frames",
            task="raw-video",
        ),
        DatasetSpec(
            name="crvd",
            target="graftwork.data.raw.crvd_set:CRVD",
            config="graftwork.data.raw.crvd_set:CRVDConfig",
            summary="CRVD: eleven indoor scenes at five ISOs, with truth",
            task="raw-video",
            cites=(
                "arXiv:2003.14013 Yue et al. 2020, Supervised Raw Video Denoising with "
                "a Benchmark Dataset on Dynamic Scenes",
            ),
        ),
        DatasetSpec(
            name="recrvd",
            target="graftwork.data.raw.recrvd_set:ReCRVD",
            config="graftwork.data.raw.recrvd_set:ReCRVDConfig",
            summary="ReCRVD: 120 recaptured scenes, with truth",
            task="raw-video",
            cites=(
                "arXiv:2305.00767 Yue et al. 2023, RViDeformer: Efficient Raw Video "
                "Denoising Transformer with a Larger Benchmark Dataset",
            ),
        ),
        DatasetSpec(
            name="video-instruct",
            target="graftwork.data.video.instruct:VideoInstruct",
            config="graftwork.data.video.instruct:VideoInstructConfig",
            summary="questions about videos and images in the JSON of LLaVA and Valley",
            task="video-chat",
            cites=(_VALLEY,),
        ),
        DatasetSpec(
            name="video-questions",
            target="graftwork.data.video.questions:VideoQuestions",
            config="graftwork.data.video.questions:VideoQuestionsConfig",
            summary="the test files of MSVD-QA, MSRVTT-QA, Video-MME, MVBench and NExT-QA",
            task="video-chat",
        ),
        DatasetSpec(
            name="moving-shapes",
            target="graftwork.data.video.moving_shapes:MovingShapes",
            config="graftwork.data.video.moving_shapes:MovingShapesConfig",
            summary="made-up films of shapes before photographs, with questions about them",
            task="video-chat",
            extra="raw",
        ),
        DatasetSpec(
            name="class-folders",
            target="graftwork.data.labelled.class_folders:ClassFolders",
            config="graftwork.data.labelled.class_folders:ClassFoldersConfig",
            summary="images in a folder of each class",
            task="classification",
        ),
        DatasetSpec(
            name="label-file",
            target="graftwork.data.labelled.label_file:LabelFile",
            config="graftwork.data.labelled.label_file:LabelFileConfig",
            summary="images with their classes in a CSV or parquet file",
            task="classification",
        ),
        DatasetSpec(
            name="torchvision",
            target="graftwork.data.labelled.torchvision_set:TorchvisionSet",
            config="graftwork.data.labelled.torchvision_set:TorchvisionConfig",
            summary="data sets of torchvision that are on disk",
            task="classification",
            extra="torchvision",
        ),
        DatasetSpec(
            name="digits",
            target="graftwork.data.labelled.digits:Digits",
            config="graftwork.data.labelled.digits:DigitsConfig",
            summary="handwritten digits of 8 x 8 pixels that come with scikit-learn",
            task="classification",
            extra="offline",
        ),
        DatasetSpec(
            name="photo-patches",
            target="graftwork.data.labelled.photo_patches:PhotoPatches",
            config="graftwork.data.labelled.photo_patches:PhotoPatchesConfig",
            summary="pieces of photographs of other wheels; which one is the class",
            task="classification",
            extra="offline",
        ),
    ]
