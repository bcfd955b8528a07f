"""Prompts continued to the end of an answer."""

from collections.abc import Iterator, Sequence
from threading import Thread
from typing import Any

import torch
from transformers import TextIteratorStreamer

from graftwork.backbones.videollm.pieces import answer_pieces
from graftwork.backbones.videollm.prompt import Prompt
from graftwork.backbones.videollm.video_llm import VideoLLM
from graftwork.video.chat import Decoding


@torch.no_grad()
def generate(
    llm: VideoLLM, prompts: Sequence[Prompt], decoding: Decoding, **more: Any
) -> list[str]:
    """An answer to each, all at once; `more` goes to the model's `generate`.

    Torch's own generators stay where they are.
    """
    batch = llm.rows(prompts, left=True)
    start = batch.ids.shape[1]
    drawn = {"do_sample": True, "temperature": decoding.temperature, "top_k": 0, "top_p": 1.0}
    devices = [batch.ids.device] if batch.ids.is_cuda else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(decoding.seed)
        ids = llm.module.generate(
            **llm.inputs(prompts, batch),
            **(drawn if decoding.temperature > 0 else {"do_sample": False}),
            **more,
            max_new_tokens=decoding.tokens,
            pad_token_id=llm.tokenizer.pad_token_id,
            # A placeholder that is said could not be read again.
            suppress_tokens=llm.unsaid or None,
            # The likeliest token is asked for, whatever the folder's generation_config prefers.
            repetition_penalty=1.0,
            **llm.dialogues.ending.settings(start),
        )
    texts: list[str] = llm.tokenizer.batch_decode(ids[:, start:], skip_special_tokens=True)
    return [llm.dialogues.ending.answer_in(text) for text in texts]


def stream(llm: VideoLLM, prompt: Prompt, decoding: Decoding) -> Iterator[str]:
    """The same answer in pieces: generated in a thread, handed on word by word."""
    streamer = TextIteratorStreamer(
        llm.tokenizer, skip_prompt=True, skip_special_tokens=True, timeout=None
    )
    failed: list[BaseException] = []

    def work() -> None:
        try:
            generate(llm, [prompt], decoding, streamer=streamer)
        except BaseException as error:  # told in the caller's thread
            failed.append(error)
            streamer.end()

    thread = Thread(target=work, daemon=True)
    thread.start()
    ending = llm.dialogues.ending
    yield from answer_pieces(streamer, stop=ending.text, role=ending.role)
    thread.join()
    if failed:
        raise failed[0]
