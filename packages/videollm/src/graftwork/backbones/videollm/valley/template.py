"""The words around questions and answers.

A dialogue reads

    {system}

    ### Human: {question}
    ### Assistant: {answer}
    ### Human: ...
    ### Assistant: {answer}
    ###

as the released model was trained (Luo et al. 2023, arXiv:2306.07207, section 3.3). What ends an
answer is the mark that begins the next turn.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Template:
    """The words of one template."""

    system: str
    """What the dialogue opens with; empty for none."""

    human: str = " Human: "
    """Before a question, after the mark."""

    assistant: str = " Assistant:"
    """Before an answer, after the mark."""

    stop: str = "###"
    """The mark: it begins each turn, and an answer ends where it comes next."""

    @property
    def opening(self) -> str:
        """All that comes before the first turn."""
        return f"{self.system}\n\n{self.stop}" if self.system else self.stop

    def asked(self, question: str) -> str:
        """A question, and what leads to its answer."""
        return f"{self.human}{question}\n{self.stop}{self.assistant}"

    def answered(self, answer: str) -> str:
        """An answer, and what ends it."""
        return f" {answer}\n{self.stop}"

    def answer_in(self, text: str) -> str:
        """The answer alone in what a model wrote, which may have begun with its role."""
        own = text.split(self.stop, 1)[0].strip()
        return own.removeprefix(self.assistant.strip()).strip()


V1 = Template(
    system="A curious human talks with an assistant, an artificial intelligence, which answers "
    "the human's questions helpfully, politely and in detail."
)
"""The layout of the release's "v1". Its system line is of the same kind but in other words; who
wants the released model to read exactly what it was trained on writes that line into the `system`
of its configuration."""


def template_of(system: str | None) -> Template:
    """The released layout with a model's own opening line, or the default one."""
    return V1 if system is None else replace(V1, system=system)
