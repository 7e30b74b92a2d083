"""The JSON that practice takes, as strict pydantic models; unknown members are refused.

What it sends are the dataclasses of `rag.practice`, which hold nothing of a rubric before its time.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from api.schemas import Question, Strict
from rag.conversations import ID_PATTERN
from rag.practice.calibrate import Exercise
from rag.practice.steps import Feedback, PracticeMode


def clean_answer(text: str) -> str:
    """Return the answer as it is, whitespace too. Raises ValueError if it cannot be stored."""
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("must not contain U+0000 or half a surrogate pair")
    return text


Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
ReportFormat = Literal["json", "md", "html"]


class StartRequest(Strict):
    """What a session is to be about; what is left out is drawn."""

    mode: PracticeMode
    probe_id: Name | None = Field(None, description="of drill, calibrate (a ladder) or estimate")
    topic: Name | None = None
    company: Name | None = None
    difficulty: Name | None = None
    feedback: Feedback = Field("now", description="a mock gives it at the end in any case")
    clock: Name | None = Field(None, description="of a mock: the id of a phase clock of the bank")
    minutes: float | None = Field(
        None, ge=1, le=600, allow_inf_nan=False, description="of a mock: scales the clock"
    )
    exercise: Exercise = Field("both", description="of calibrate")
    seed: int | None = Field(None, ge=0, lt=2**31, description="draws the same again")


class AnswerRequest(Strict):
    """An answer to turn `turn`; sending the same again changes nothing."""

    client_turn_id: Annotated[str, StringConstraints(pattern=ID_PATTERN)] = Field(
        description="of your choice, new for each answer"
    )
    turn: int = Field(ge=1, description="the `n` of the question that is answered")
    text: Annotated[str, AfterValidator(clean_answer)]
    elapsed_ms: int | None = Field(None, ge=0, le=10**9, description="by the client's clock")


class OverrideRequest(Strict):
    """The user's own verdict on a point."""

    point_id: Name
    covered: bool


class CorpusQuestion(Strict):
    """A question to the corpus; "the second point I missed" is understood."""

    question: Question


class BankProbe(Strict):
    """What a client may know of a question."""

    id: str
    kind: str
    prompt: str
    topics: list[str]
    companies: list[str]
    difficulty: str
    seconds: int
    doc: str


class BankEstimate(Strict):
    """An exercise in arithmetic, without its numbers."""

    id: str
    title: str


class BankClock(Strict):
    """A phase clock; `phases` are names with their seconds."""

    id: str
    doc: str
    phases: list[tuple[str, int]]


class BankBody(BaseModel):
    """What practice can ask."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "hash": "0b9c5d0e7f6a4a1e",
                "probes": [
                    {
                        "id": "probe-how-would-you-correct-5a10",
                        "kind": "probe",
                        "prompt": "How would you correct for position bias?",
                        "topics": ["ranking"],
                        "companies": [],
                        "difficulty": "",
                        "seconds": 180,
                        "doc": "position-bias.md",
                    }
                ],
                "estimates": [],
                "clocks": [],
            }
        },
    )

    hash: str
    probes: list[BankProbe]
    estimates: list[BankEstimate]
    clocks: list[BankClock]
