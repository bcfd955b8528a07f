"""A tiny configuration of every family, with a real processor and words of its own."""

from collections.abc import Callable
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    GotOcr2ImageProcessor,
    InternVLConfig,
    InternVLProcessor,
    InternVLVideoProcessor,
    LlamaConfig,
    LlavaNextImageProcessor,
    LlavaNextVideoConfig,
    LlavaNextVideoProcessor,
    LlavaNextVideoVideoProcessor,
    LlavaOnevisionConfig,
    LlavaOnevisionImageProcessor,
    LlavaOnevisionProcessor,
    LlavaOnevisionVideoProcessor,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLProcessor,
    Qwen2Config,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    Qwen3VLConfig,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
    SiglipVisionConfig,
    SmolVLMConfig,
    SmolVLMImageProcessor,
    SmolVLMProcessor,
    SmolVLMVideoProcessor,
    VideoLlavaConfig,
    VideoLlavaProcessor,
    VideoLlavaVideoProcessor,
)

SIDE = 32
CORPUS = [
    "USER: ASSISTANT: where does the sks move? and the sks color? which sks is first?",
    "left right up red nothing what do you see in this clip seconds Frame from video",
    "You are provided the following series of six frames User: Assistant: user assistant system",
]
SPECIAL = ["<unk>", "<s>", "</s>", "<pad>", "<|im_start|>", "<|im_end|>", "<image>", "<video>"]
QWEN = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
INTERN = {
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
    "video_token": "<video>",
}
SMOL = ["<fake_token_around_image>", "<global-img>", "<end_of_utterance>"]

PART = (
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% else %}VIDEO{% endif %}"
    "{% endfor %}"
)
MARKUP = (  # every message between a start and an end
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n" + PART + "<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ROLES = (  # nothing ends an answer, and a blank comes before it
    "{% set roles = {'user': 'USER', 'assistant': 'ASSISTANT'} %}{{ bos_token }}"
    "{% for message in messages %}{{ roles[message['role']] }}: " + PART + " "
    "{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
ODD = MARKUP.replace("{{ message['role'] }}\n", "{{ message['role'] }} \n")
"""What precedes an answer is not what asks for one; so it is with LLaVA-OneVision."""
UTTERANCES = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}: "
    + PART
    + "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)


def tokenizer(*, eos: str, more: Any = (), named: Any = None) -> PreTrainedTokenizerFast:
    """Bytes and spaces at the front of words, as GPT-2's; special tokens of a family."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    words = [*SPECIAL, *more, *(named or {}).values()]
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=[AddedToken(word, special=True) for word in dict.fromkeys(words)],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token=eos,
        pad_token="<pad>",
        **({} if named is None else {"extra_special_tokens": dict(named)}),
    )


DECODER = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.3,
    "pad_token_id": 3,
    "bos_token_id": 1,
}
SIGHT = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": SIDE,
    "patch_size": 8,
    "initializer_range": 0.3,
}
SQUARE = {"height": SIDE, "width": SIDE}
EDGE = {"size": {"shortest_edge": SIDE}, "crop_size": SQUARE}
Parts = tuple[Any, Any]


def video_llava() -> Parts:
    words = tokenizer(eos="</s>")
    processor = VideoLlavaProcessor(
        CLIPImageProcessor(**EDGE),
        VideoLlavaVideoProcessor(**EDGE),
        words,
        patch_size=8,
        chat_template=ROLES.replace("VIDEO", "<video>\n"),
    )
    config = VideoLlavaConfig(
        vision_config=CLIPVisionConfig(**SIGHT),
        text_config=LlamaConfig(vocab_size=len(words), eos_token_id=2, **DECODER),
        **_ids(words, image="<image>", video="<video>"),
    )
    return config, processor


def llava_next_video() -> Parts:
    words = tokenizer(eos="</s>")
    processor = LlavaNextVideoProcessor(
        LlavaNextVideoVideoProcessor(**EDGE),
        LlavaNextImageProcessor(**EDGE),
        words,
        patch_size=8,
        vision_feature_select_strategy="default",
        chat_template=ROLES.replace("VIDEO", "<video>\n").replace("{{ bos_token }}", ""),
    )
    config = LlavaNextVideoConfig(
        vision_config=CLIPVisionConfig(**SIGHT),
        text_config=LlamaConfig(vocab_size=len(words), eos_token_id=2, **DECODER),
        image_grid_pinpoints=[[SIDE, SIDE]],
        spatial_pool_stride=2,
        **_ids(words, image="<image>", video="<video>"),
    )
    return config, processor


def llava_onevision() -> Parts:
    words = tokenizer(eos="<|im_end|>")
    processor = LlavaOnevisionProcessor(
        LlavaOnevisionImageProcessor(size=SQUARE),
        words,
        LlavaOnevisionVideoProcessor(size=SQUARE),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=ODD.replace("VIDEO", "<video>"),
    )
    config = LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(**SIGHT),
        text_config=Qwen2Config(vocab_size=len(words), eos_token_id=5, **DECODER),
        vision_feature_select_strategy="full",
        **_ids(words, image="<image>", video="<video>"),
    )
    return config, processor


QWEN_SIGHT = {
    "depth": 2,
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_heads": 2,
    "out_hidden_size": 32,
    "patch_size": 4,
    "initializer_range": 0.3,
}
QWEN_PIXELS = {
    "size": {"shortest_edge": 64, "longest_edge": 16 * 16 * 8},
    "patch_size": 4,
    "cap_pixels_per_frame": False,
}


def qwen2_5_vl() -> Parts:
    words = tokenizer(eos="<|im_end|>", more=QWEN)
    images = {name: QWEN_PIXELS[name] for name in ("size", "patch_size")}
    processor = Qwen2_5_VLProcessor(
        Qwen2VLImageProcessor(**images),
        words,
        Qwen2VLVideoProcessor(**QWEN_PIXELS),
        chat_template=MARKUP.replace("VIDEO", "<|vision_start|><|video_pad|><|vision_end|>"),
    )
    config = Qwen2_5_VLConfig(
        vision_config=QWEN_SIGHT
        | {"window_size": 16, "fullatt_block_indexes": [1], "tokens_per_second": 4},
        text_config=DECODER
        | {
            "vocab_size": len(words),
            "eos_token_id": 5,
            "rope_parameters": {
                "rope_type": "default",
                "mrope_section": [2, 1, 1],
                "rope_theta": 1e4,
            },
        },
        **_ids(words, image="<|image_pad|>", video="<|video_pad|>"),
        **_ids(words, vision_start="<|vision_start|>", vision_end="<|vision_end|>"),
    )
    return config, processor


def qwen3_vl() -> Parts:
    words = tokenizer(eos="<|im_end|>", more=QWEN)
    images = {name: QWEN_PIXELS[name] for name in ("size", "patch_size")}
    processor = Qwen3VLProcessor(
        Qwen2VLImageProcessor(**images),
        words,
        Qwen3VLVideoProcessor(**QWEN_PIXELS),
        chat_template=MARKUP.replace("VIDEO", "<|vision_start|><|video_pad|><|vision_end|>"),
    )
    config = Qwen3VLConfig(
        vision_config=QWEN_SIGHT
        | {"deepstack_visual_indexes": [0, 1], "num_position_embeddings": 16},
        text_config=DECODER
        | {
            "vocab_size": len(words),
            "eos_token_id": 5,
            "head_dim": 8,
            "rope_parameters": {
                "rope_type": "default",
                "mrope_section": [2, 1, 1],
                "rope_theta": 1e4,
            },
        },
        **_ids(words, image="<|image_pad|>", video="<|video_pad|>"),
        **_ids(words, vision_start="<|vision_start|>", vision_end="<|vision_end|>"),
    )
    return config, processor


def internvl() -> Parts:
    words = tokenizer(eos="<|im_end|>", named=INTERN)
    processor = InternVLProcessor(
        GotOcr2ImageProcessor(size=SQUARE),
        words,
        InternVLVideoProcessor(size=SQUARE),
        image_seq_length=4,
        chat_template=MARKUP.replace("VIDEO", "<video>\n"),
    )
    pair = {"image_size": [SIDE, SIDE], "patch_size": [8, 8]}
    config = InternVLConfig(
        vision_config=SIGHT | pair,
        text_config=Qwen2Config(vocab_size=len(words), eos_token_id=5, **DECODER),
        image_seq_length=4,
        **_ids(words, image="<IMG_CONTEXT>"),
    )
    return config, processor


def smolvlm() -> Parts:
    words = tokenizer(eos="<end_of_utterance>", more=SMOL)
    longest = {"longest_edge": SIDE}
    processor = SmolVLMProcessor(
        SmolVLMImageProcessor(size=longest, max_image_size=longest),
        words,
        SmolVLMVideoProcessor(
            size=longest, max_image_size=longest, num_frames=64, fps=1, do_sample_frames=True
        ),
        image_seq_len=4,
        chat_template=UTTERANCES.replace("VIDEO", "<video>"),
    )
    config = SmolVLMConfig(
        vision_config=SIGHT,
        text_config=LlamaConfig(
            vocab_size=len(words),
            eos_token_id=words.eos_token_id,
            **DECODER,
        ),
        scale_factor=2,
        pad_token_id=3,
        **_ids(words, image="<image>"),
    )
    return config, processor


def _ids(words: PreTrainedTokenizerFast, **tokens: str) -> dict[str, int]:
    return {f"{kind}_token_id": words.convert_tokens_to_ids(t) for kind, t in tokens.items()}


FAMILIES: dict[str, Callable[[], Parts]] = {
    made.__name__: made
    for made in (
        internvl,
        llava_next_video,
        llava_onevision,
        qwen2_5_vl,
        qwen3_vl,
        smolvlm,
        video_llava,
    )
}
