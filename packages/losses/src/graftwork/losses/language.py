"""Losses of language models: learn the answers, and keep what the backbone would have said."""

from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from graftwork.core.config import Ge, Lt, NoSettings, config
from graftwork.core.errors import GraftworkError
from graftwork.nn.loss import Loss
from graftwork.video.step import AnswerStep


@config
class LanguageModelingConfig:
    """Settings of the loss of language models."""

    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Share of each target that is spread evenly over the vocabulary."""


class LanguageModeling(Loss):
    """Cross-entropy of the tokens of answers, averaged over the tokens of a batch.

    -mean log p(token | clip, question, tokens before it). The signal that ends an answer counts as
    one of its tokens; questions, clips and padding do not count (Luo et al. 2023,
    arXiv:2306.07207; Radford et al. 2018).
    """

    needs = frozenset({"prediction"})
    settings: LanguageModelingConfig

    def __call__(self, step: AnswerStep) -> Float[Tensor, ""]:
        """The loss of one step.

        Raises:
            GraftworkError: the step was made without logits.
        """
        if step.logits is None:
            raise GraftworkError("loss.language-modeling: needs 'prediction' of the backbone")
        smoothing = self.settings.label_smoothing
        return functional.cross_entropy(step.logits, step.targets, label_smoothing=smoothing)


class LanguagePreservation(Loss):
    """mean KL(p_frozen || p_adapted) over the tokens of the frozen backbone's own answers.

    CAT's preservation term (Park et al. 2024, arXiv:2404.07554) carried over to language; ours.
    The questions are those of the training with the trigger taken out, the answers what the
    frozen backbone says to them. Where CAT compares predicted noise by squared error, this
    compares the distributions of the next token; no gradient flows into the frozen one. The term
    is zero, and so is its gradient, as long as the adapter changes nothing.
    """

    needs = frozenset({"free"})
    settings: NoSettings

    def __call__(self, step: AnswerStep) -> Float[Tensor, ""]:
        """The loss of one step.

        Raises:
            GraftworkError: the data has no questions without the trigger.
        """
        adapted, frozen = step.adapted_free, step.frozen_free
        if adapted is None or frozen is None:
            raise GraftworkError(
                "loss.language-preservation: the data has no questions without a trigger; set "
                "'trigger' in [data]"
            )
        log_adapted = torch.log_softmax(adapted, dim=-1)
        log_frozen = torch.log_softmax(frozen.detach(), dim=-1)
        return functional.kl_div(log_adapted, log_frozen, reduction="batchmean", log_target=True)
