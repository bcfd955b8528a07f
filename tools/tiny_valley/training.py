"""All that stands behind the tower learns to answer questions about films."""

import torch
from transformers import PreTrainedTokenizerBase

from graftwork.backbones.videollm.valley_backbone import ValleyBackbone
from graftwork.core.config import NoSettings, parse
from graftwork.data.video.moving_shapes import MovingShapes, MovingShapesConfig
from graftwork.losses.language import LanguageModeling, LanguageModelingConfig
from graftwork.metrics.answers import VideoPairs, VideoQA
from graftwork.video.evaluation import Judging, VideoEvaluation
from tiny_valley.lessons import Lessons


def train(
    backbone: ValleyBackbone, *, films: int, steps: int, batch: int, seed: int, report: int = 1000
) -> None:
    """Train projector, temporal module and decoder; tell how it does every `report` steps."""
    module = backbone.module
    behind = [p for n, p in module.named_parameters() if not n.startswith("model.vision_tower")]
    for parameter in behind:
        parameter.requires_grad_(True)
    data = Lessons(MovingShapes(MovingShapesConfig(clips=films)), words_of(backbone.tokenizer))
    examples = backbone.prepare(data)
    loss_of = LanguageModeling(parse(LanguageModelingConfig, {}, "loss"))
    optimizer = torch.optim.AdamW(behind, lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    draw = torch.Generator().manual_seed(seed)
    needs = frozenset({"prediction"})
    for step in range(1, steps + 1):
        chosen = torch.randint(len(examples), (batch,), generator=draw).tolist()
        loss = loss_of(backbone.step(examples, chosen, needs=needs, generator=draw))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(behind, 1.0)
        optimizer.step()
        schedule.step()
        if step % report == 0 and step < steps:
            print(f"step {step}, loss {loss.item():.4f}: {told(judged(backbone, 100))}", flush=True)
    module.requires_grad_(False).eval()


def words_of(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Everything that a tokenizer of whole words can say."""
    return sorted(word for word in tokenizer.get_vocab() if word.isalpha())


def judged(backbone: ValleyBackbone, films: int = 400) -> dict[str, float]:
    """How often it is right about films, and about films and the same backwards."""
    data = MovingShapes(MovingShapesConfig(clips=1, test_clips=films))
    evaluation = VideoEvaluation(backbone, data, Judging(tokens=4))
    return VideoQA(NoSettings())(evaluation) | VideoPairs(NoSettings())(evaluation)


def told(values: dict[str, float]) -> str:
    """Metrics on one line."""
    return ", ".join(f"{name} {value:.3f}" for name, value in values.items())
