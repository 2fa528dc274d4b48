"""What an officer decides about a request. Pure values."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from igstats_privacy.model import TaskState


class Kind(StrEnum):
    """Decisions that are kept."""

    APPROVAL = "APPROVAL"
    DENIAL = "DENIAL"
    EXTENSION = "EXTENSION"


@dataclass(frozen=True)
class Decision:
    """One of them; `explanation` is what the person is sent."""

    request_id: str
    kind: Kind
    officer: str
    decided_at: datetime
    reason: str = ""
    explanation: str = ""


@dataclass(frozen=True)
class HolderPreview:
    """What one holder said that an erasure would do; `receipt` is the serialised Receipt of its answer."""

    holder: str
    state: TaskState
    receipt: bytes

    @property
    def answered(self) -> bool:
        """Whether the answer is in. A holder that is switched off or needs a person has not answered."""
        return self.state is TaskState.SETTLED


@dataclass(frozen=True)
class Preview:
    """The answers so far to a request of right PREVIEW."""

    preview_id: str
    holders: tuple[HolderPreview, ...]

    @property
    def is_complete(self) -> bool:
        """Whether every holder has answered; somebody must have."""
        return bool(self.holders) and all(one.answered for one in self.holders)
