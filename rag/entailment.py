"""Does a passage entail a sentence? Any cross-encoder trained on natural language inference.

None is installed by default, because none comes from the package index; the setting `entailment`
names one, and free paraphrases can then be proven. Knows nothing of passages or answers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from rag.errors import ModelError


class Entailment(Protocol):
    """Tells how probable it is that one text states another."""

    name: str

    def probability(self, premise: str, sentence: str) -> float:
        """Return P(`premise` entails `sentence`)."""
        ...


class CrossEncoderEntailment:
    """The Entailment of a sequence classifier with a label that contains "entail"."""

    def __init__(self, reference: Path | str, *, name: str) -> None:
        """Load it; raises ModelError where no label, or only its denial, says entailment."""
        import torch
        from sentence_transformers import CrossEncoder

        self.name = name
        self._model = CrossEncoder(str(reference), device="cpu")
        self._softmax = torch.nn.Softmax(dim=-1)
        labels: dict[int, str] = self._model.config.id2label
        wanted = [n for n, label in labels.items() if label.lower().startswith("entail")]
        if len(wanted) != 1:
            raise ModelError(
                f"{name} is no entailment model: its labels are {', '.join(labels.values())}; "
                "set RAG_ENTAILMENT to a model for natural language inference"
            )
        self._entails = wanted[0]

    def probability(self, premise: str, sentence: str) -> float:
        """Return the softmax of the entailment label."""
        (row,) = self._model.predict(
            [(premise, sentence)], activation_fn=self._softmax, show_progress_bar=False
        )
        return float(row[self._entails])
