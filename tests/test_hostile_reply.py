"""One reply ends no more than its own sample: what a log cannot hold, or memory cannot, is cut before it is kept."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inspect_ai import eval as inspect_eval
from inspect_ai.log import read_eval_log, read_eval_log_sample_summaries
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessageAssistant,
    ContentImage,
    ContentReasoning,
    ContentText,
    Logprob,
    Logprobs,
    ModelAPI,
    ModelCall,
    ModelOutput,
    ModelUsage,
    TopLogprob,
    get_model,
    modelapi,
)
from inspect_ai.model._model_output import ModelFallback
from inspect_ai.tool import ToolCall
from support_hostile import BOMBS, call, says

from dangercurve._registry import ops_horizon
from dangercurve.evals.ingest import sample_status
from dangercurve.scorers.record import answering
from dangercurve.scorers.refusal import is_refusal
from dangercurve.tasks.kernel.actions import act
from dangercurve.tasks.kernel.episode import answered_by
from dangercurve.tasks.kernel.interfaces import ChoiceInterface, Turn
from dangercurve.tasks.kernel.reply import (
    MAX_CALLS_KEPT,
    MAX_COUNT,
    MAX_REASONING_CHARS,
    MAX_REPLY_CHARS,
    TOO_MUCH,
    bound_output,
    bound_result,
    guard,
    plain,
)


@modelapi(name="bomb")
def bomb() -> type[ModelAPI]:
    class Bomb(ModelAPI):
        """Throws its bomb in every other sample and plays dead in the others."""

        async def count_text_tokens(self, text: str) -> int:
            return 1

        async def generate(
            self, input: object, tools: object, tool_choice: object, config: object
        ) -> ModelOutput:  # type: ignore[override]
            message = BOMBS[self.model_name]()
            usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
            return ModelOutput(
                model=self.model_name, choices=[ChatCompletionChoice(message=message)], usage=usage
            )

    return Bomb


@pytest.mark.parametrize("name", BOMBS)
def test_a_reply_that_no_log_can_hold_is_a_format_failure_and_the_log_stands(
    name: str, tmp_path: Path
) -> None:
    (log,) = inspect_eval(
        ops_horizon(level=0, n=2, interface="tools"), model=f"bomb/{name}", display="none",
        log_dir=str(tmp_path), log_realtime=False, fail_on_error=False, log_level="error",
    )  # fmt: skip
    assert log.status == "success"
    assert Path(log.location).stat().st_size < 200_000
    summaries = read_eval_log_sample_summaries(log.location)
    assert [sample_status(s) for s in summaries] == ["format_failure", "format_failure"]
    assert len(read_eval_log(log.location).samples or []) == 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=30),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=60,
)


@given(JSON)
def test_what_is_kept_of_any_value_is_strict_json_and_stays_so(value: object) -> None:
    kept = plain(value)
    text = json.dumps(kept, allow_nan=False)
    text.encode()
    assert json.loads(text) == kept
    assert plain(kept) == kept or TOO_MUCH in text


@given(
    st.dictionaries(
        st.text("abc", min_size=1, max_size=3), st.text("xyz", max_size=20) | st.integers(-9, 9), max_size=8
    )
)
def test_ordinary_arguments_are_kept_as_they_are(arguments: dict[str, object]) -> None:
    assert plain(arguments) == arguments


def output(message: ChatMessageAssistant, **more: object) -> ModelOutput:
    return ModelOutput(model="m", choices=[ChatCompletionChoice(message=message)], **more)  # type: ignore[arg-type]


def test_text_and_reasoning_are_cut_and_a_picture_is_named() -> None:
    parts = [ContentText(text="a" * 30_000), ContentReasoning(reasoning="b" * 300_000), ContentText(text="tail"),
             ContentImage(image="/etc/passwd")]  # fmt: skip
    found = bound_output(output(says(parts))).choices[0].message.content
    assert isinstance(found, list)
    assert sum(len(p.text) for p in found[:3] if isinstance(p, ContentText)) == MAX_REPLY_CHARS
    assert [len(p.reasoning) for p in found if isinstance(p, ContentReasoning)] == [MAX_REASONING_CHARS]
    assert isinstance(found[3], ContentText) and "passwd" not in found[3].text


def test_calls_are_few_and_each_has_a_name_of_its_own() -> None:
    message = says("", [ToolCall(id=i, function="read", arguments={}) for i in ("a", "a", "", "") * 50])
    calls = bound_output(output(message)).choices[0].message.tool_calls or []
    assert len(calls) == MAX_CALLS_KEPT == len({c.id for c in calls})
    assert all(c.id for c in calls)


def test_a_call_with_too_many_arguments_does_not_become_a_right_one() -> None:
    arguments: dict[str, object] = {"ticket": "K1"} | {f"k{i}": i for i in range(1_000)}
    calls = bound_output(output(call(arguments))).choices[0].message.tool_calls or []
    assert len(calls[0].arguments) > 100


def test_no_count_buys_tokens_back_and_none_is_beyond_a_column() -> None:
    usage = ModelUsage(
        input_tokens=-5, output_tokens=10**30, total_tokens=-1, reasoning_tokens=-9, total_cost=math.nan
    )
    found = bound_output(output(says("x"), usage=usage)).usage
    assert found is not None
    assert (found.input_tokens, found.output_tokens, found.total_tokens) == (0, MAX_COUNT, 0)
    assert found.reasoning_tokens == 0 and found.total_cost is None


def test_a_log_probability_that_is_no_number_chooses_nothing() -> None:
    tops = [TopLogprob(token="A", logprob=math.nan), TopLogprob(token="B", logprob=-1.0)]
    reply = output(says("A"))
    reply.choices[0].logprobs = Logprobs(content=[Logprob(token="A", logprob=math.inf, top_logprobs=tops)])
    logprobs = bound_output(reply).choices[0].logprobs
    assert logprobs is not None
    assert [t.token for t in logprobs.content[0].top_logprobs or []] == ["B"]
    assert math.isfinite(logprobs.content[0].logprob)


def test_the_raw_answer_in_the_log_is_bounded_too() -> None:
    raw = ModelCall(request={}, response={"choices": "\ud800" + "x" * 10**6})
    result = bound_result((output(says("x")), raw))
    assert isinstance(result, tuple) and result[1].response is not None
    assert len(json.dumps(result[1].response)) < 300_000


def test_an_error_that_quotes_the_model_can_be_logged() -> None:
    class Quoting(ModelAPI):
        async def generate(
            self, input: object, tools: object, tool_choice: object, config: object
        ) -> ModelOutput:  # type: ignore[override]
            raise ValueError("cannot read \ud800")

    model = get_model("bot/null", memoize=False)
    model.api = Quoting("quoting")
    guard(model)
    guard(model)
    with pytest.raises(RuntimeError, match="ValueError: cannot read") as caught:
        asyncio.run(model.api.generate([], [], "auto", model.config))
    str(caught.value).encode()


def test_who_answered_is_never_guessed_and_no_name_hides_another() -> None:
    assert answered_by(ModelOutput(model="")) == ["(unnamed)"]
    served = ModelOutput(model="big", fallback=ModelFallback(model="big", fallback_model="small"))
    assert answered_by(served) == ["big", "small"]
    (name,) = answered_by(ModelOutput(model="big|big\x1b[2J"))
    assert "|" not in name and "\x1b" not in name and name != "big"
    assert answering([f"m{i}" for i in range(20)]).endswith("|(more)")


@pytest.mark.parametrize(
    "text", ["A\u0301", "answer \u202e A \u202c is not", "A) B) C)", "A) because B) is wrong", "\u200bA"]
)
def test_a_letter_under_a_mark_or_an_override_or_among_others_is_no_answer(text: str) -> None:
    turn = Turn("", options=tuple(act(f"option_{i}") for i in range(6)))
    reader = ChoiceInterface()
    assert reader.read(ModelOutput.from_content("m", text), turn).calls == ()
    for good in ("A", "**A**", "(A)", "A) fine", "The answer is A.", "\u201cA\u201d"):
        assert [c.name for c in reader.read(ModelOutput.from_content("m", good), turn).calls] == ["option_0"]


@pytest.mark.parametrize(
    "text", ["\x1b[31mI can't help with that.\x1b[0m", "I can\u200bnot help with that", "\x00I can't help"]
)
def test_a_refusal_is_one_in_colour_and_with_hidden_characters(text: str) -> None:
    assert is_refusal(text) and not is_refusal("\x1b[31mI will start with the first ticket.")
