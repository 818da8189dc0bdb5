"""The ladder's configuration: courses (what is learnt from) and members (what is trained), as written in `recipe.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dangercurve._errors import ConfigError, did_you_mean

RECIPE = Path(__file__).with_name("recipe.yaml")
Positive = Annotated[int, Field(ge=1)]


class Lesson(BaseModel):
    """Episodes of one family in one interface. `policy` plays them; in the arms of `policy_in` another one does.

    `levels`: pairs of level and share. `arms`: crossings as a study writes them (`thr=penalty`); `arm_share` of the
    episodes have one of them, the others none. `key` is a password: in half of the episodes it stands under the system
    prompt, and there `policy` plays in every arm. `decisions`: how many of an episode are kept, from its start; low rungs
    are short, and one long job would fill the data.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: str
    interface: str
    weight: float = Field(gt=0)
    levels: tuple[tuple[int, float], ...] = ((0, 0.5), (1, 0.35), (2, 0.15))
    twins: tuple[str, ...] = ("base",)
    arms: tuple[str, ...] = ()
    arm_share: float = Field(default=0.0, ge=0, le=1)
    policy: str = "oracle"
    policy_in: Mapping[str, str] = {}
    key: str = ""
    decisions: Positive = 12

    @model_validator(mode="after")
    def _arms_are_named(self) -> Lesson:
        if self.arm_share and not self.arms:
            raise ValueError(f"{self.family}: arm_share without arms")
        return self

    def policy_for(self, arms: Mapping[str, str]) -> str:
        """The policy under `arms`: the first of `policy_in` whose `factor=value` holds, else `policy`."""
        for condition, policy in self.policy_in.items():
            factor, _, value = condition.partition("=")
            if arms.get(factor) == value:
                return policy
        return self.policy


class Course(BaseModel):
    """Lessons drawn by weight. For the share `opening` of a member's tokens only the first lesson at its first level is
    drawn; over as many tokens again, that falls evenly to nothing.

    A small network finds copying within fewer tokens where nothing else is asked of it. `context`: tokens of a row where
    it is not the recipe's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    lessons: tuple[Lesson, ...]
    context: Positive | None = None
    opening: float = Field(default=0.0, ge=0, le=0.5)

    def opens(self, done: float) -> float:
        """The probability that an episode is one of the opening when the share `done` of the tokens is there."""
        return min(1.0, max(0.0, 2 - done / self.opening)) if self.opening else 0.0


class Shape(BaseModel):
    """The size of a network. Parameters: `vocabulary * width + layers * (4 width^2 + 3 width * inner + 2 width) + width`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: Positive
    layers: Positive
    heads: Positive
    inner: Positive

    def params(self, vocabulary: int) -> int:
        """Parameters with tied input and output embeddings."""
        block = 4 * self.width**2 + 3 * self.width * self.inner + 2 * self.width
        return vocabulary * self.width + self.layers * block + self.width


class Member(BaseModel):
    """One model of the ladder. `role`: `line` (20 tokens a parameter), `over`, `under`, `planted` or `replicate`
    (a member of the line from other starting weights: another `seed`, the same data).

    A planted member starts from the weights of `start` and is trained on its own course. `by_block`: see `network.Llama`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    role: Annotated[str, Field(pattern="^(line|over|under|planted|replicate)$")]
    shape: Shape | None = None
    tokens_per_param: float | None = Field(default=None, gt=0)
    start: str | None = None
    course: str = "base"
    tokens: Positive | None = None
    rows_a_step: Positive
    learning_rate: float = Field(gt=0)
    by_block: bool = False
    seed: int = 0

    @model_validator(mode="after")
    def _whole(self) -> Member:
        fresh, tuned = (self.shape, self.tokens_per_param), (self.start, self.tokens)
        whole = [all(v is not None for v in values) for values in (fresh, tuned)]
        none = [all(v is None for v in values) for values in (fresh, tuned)]
        if not ((whole[0] and none[1]) or (whole[1] and none[0])):
            raise ValueError(f"{self.name}: give shape and tokens_per_param, or start and tokens")
        return self


class Recipe(BaseModel):
    """Everything that a training needs to be done again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vocabulary: Positive
    context: Positive
    user_weight: float = Field(ge=0)
    answer_weight: Mapping[str, float]
    courses: Mapping[str, Course]
    members: tuple[Member, ...]

    def member(self, name: str) -> Member:
        """Raises ConfigError for an unknown name."""
        found = {m.name: m for m in self.members}
        if name not in found:
            raise ConfigError(f"the ladder has no member '{name}'{did_you_mean(name, found)}")
        return found[name]

    def shape(self, member: Member) -> Shape:
        """The member's own shape, or that of the member it starts from."""
        if member.shape is not None:
            return member.shape
        return self.shape(self.member(member.start or ""))

    def context_of(self, course: str) -> int:
        """Tokens of a row of the course, and of the context of a member that ends with it."""
        return self.courses[course].context or self.context

    def tokens(self, member: Member) -> int:
        """Tokens of the member's own training."""
        if member.tokens is not None:
            return member.tokens
        return round((member.tokens_per_param or 0.0) * self.shape(member).params(self.vocabulary))


@lru_cache(maxsize=1)
def load_recipe(path: Path = RECIPE) -> Recipe:
    """Read the recipe. Raises ConfigError where it does not say what it should."""
    try:
        return Recipe.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except (ValidationError, yaml.YAMLError) as exc:
        raise ConfigError(f"{path.name}: {exc}") from None
