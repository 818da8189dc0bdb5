"""Interfaces: strict readers of replies, the same world behind all three."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessageAssistant,
    Logprob,
    Logprobs,
    ModelOutput,
    TopLogprob,
)
from inspect_ai.tool import ToolCall

from dangercurve.tasks.kernel.actions import act
from dangercurve.tasks.kernel.cases import Case
from dangercurve.tasks.kernel.family import INTERFACES, AnyWorld, get_family
from dangercurve.tasks.kernel.interfaces import LETTERS, MAX_CALLS, Turn, get_interface, letter_logprobs
from dangercurve.tasks.kernel.world import Setting


def a_world(level: int = 2, name: str = "toy_vuln") -> AnyWorld:
    return Case(get_family(name), level, 0, Setting()).world()


def said(text: str) -> ModelOutput:
    return ModelOutput.from_content("m", text)


def called(*calls: tuple[str, object]) -> ModelOutput:
    made = [ToolCall(id=f"c{i}", function=name, arguments={}) for i, (name, _) in enumerate(calls)]
    for call, (_, arguments) in zip(made, calls, strict=True):
        call.arguments = arguments  # type: ignore[assignment]  # what a provider may hand over unchecked
    message = ChatMessageAssistant.model_construct(role="assistant", content="", tool_calls=made)
    choice = ChatCompletionChoice.model_construct(message=message, stop_reason="tool_calls")
    return ModelOutput.model_construct(model="m", choices=[choice], completion="")


OPTIONS = Turn(
    "", options=(*(act("go", to=i) for i in range(4)), act("wait"), act("decline", reason="other"))
)


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("B", "B"), ("b", "B"), (" B.", "B"), ("(b)", "B"), ("B) go to=1", "B"), ("B. because", "B"), ("**B**", "B"),
        ("Answer: B", "B"), ("the answer is (B).", "B"), ("My choice is: b", "B"), ("option F", "F"),
        ("B\n\nThe answer is B", "B"),
        ("", None), ("I know that", None), ("Bananas", None), ("A or B", None), ("A) or rather answer: B", None),
        ("Z", None), ("answer: Z", None), ("go to=1", None), ("a wrong send locks it", None), ("AB", None),
        ("Answer: A, answer: B", None), ("I would say decline", None), ("7", None),
    ],
)  # fmt: skip
def test_a_choice_is_one_letter_or_no_answer(reply: str, letter: str | None) -> None:
    calls = get_interface("choice").read(said(reply), OPTIONS).calls
    expected = [] if letter is None else [OPTIONS.options[LETTERS.index(letter)]]
    assert [act(c.name, **dict(c.args)) for c in calls] == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reply", "calls"),
    [
        ("ACT wait", [("wait", {})]),
        ("act send door=2 value=35", [("send", {"door": "2", "value": "35"})]),
        ("I think.\n> ACT send door=2 value=35.\nDone", [("send", {"door": "2", "value": "35"})]),
        ("`ACT send door = 2 value = 35`", [("send", {"door": "2", "value": "35"})]),
        ("ACT send Door=`2` value='35'", [("send", {"door": "2", "value": "35"})]),
        ("ACT send door=2, value=35;", [("send", {"door": "2", "value": "35"})]),
        ("ACT disasm routine=k\nACT wait", [("disasm", {"routine": "k"}), ("wait", {})]),
        ("I will ACT send door=2", []),
        ("ACT send door=2 and value=35", []),
        ("ACT", []),
        ("ACT 12", []),
        ("REACT wait", []),
        ("", []),
    ],
)
def test_a_line_of_text_is_an_action_or_nothing(reply: str, calls: list[tuple[str, dict[str, str]]]) -> None:
    reading = get_interface("text").read(said(reply), Turn(""))
    assert [(c.name, dict(c.args)) for c in reading.calls] == calls


def test_calls_beyond_the_limit_are_not_applied() -> None:
    text = get_interface("text").read(said("ACT wait\n" * 50), Turn(""))
    tools = get_interface("tools").read(called(*[("wait", {})] * 50), Turn(""))
    assert (len(text.calls), len(tools.calls)) == (MAX_CALLS, MAX_CALLS)


@pytest.mark.parametrize("arguments", [None, [], "door=1", 3, {"door": [1]}, {1: 2}])
def test_malformed_arguments_of_a_tool_call_are_an_error_in_the_world(arguments: object) -> None:
    world = a_world()
    (call,) = get_interface("tools").read(called(("send", arguments)), Turn("")).calls
    assert "Not done" in world.step(call.name, call.args)


@pytest.mark.parametrize("interface", INTERFACES)
@given(reply=st.text(max_size=200))
def test_no_reply_breaks_a_reader(interface: str, reply: str) -> None:
    reading = get_interface(interface).read(said(reply), OPTIONS)
    assert len(reading.calls) <= MAX_CALLS


@pytest.mark.parametrize("interface", INTERFACES)
def test_a_reply_without_choices_is_no_action(interface: str) -> None:
    assert get_interface(interface).read(ModelOutput(model="m"), OPTIONS).calls == ()


def with_logprobs(**tops: float) -> ModelOutput:
    output = said("?")
    top = [TopLogprob(token=token, logprob=value) for token, value in tops.items()]
    output.choices[0].logprobs = Logprobs(content=[Logprob(token="?", logprob=-9.0, top_logprobs=top)])
    return output


def test_logprobs_choose_the_likeliest_letter_whatever_was_said() -> None:
    interface = get_interface("choice", by="logprob")
    output = with_logprobs(**{"The": -0.1, " C": -1.0, "c)": -0.5, "A": -0.9, "Z": -0.2})
    assert letter_logprobs(output, 6)[:3] == [-0.9, float("-inf"), -0.5]
    assert interface.read(output, OPTIONS).calls[0].args == {"to": 2}
    assert interface.read(with_logprobs(The=-0.1), OPTIONS).calls == ()
    assert interface.read(said("C"), OPTIONS).calls == ()


def test_tool_documents_name_every_parameter_of_every_action() -> None:
    world = a_world()
    turn = get_interface("tools").turn(world, [], 4)
    assert [t.name for t in turn.tools] == [spec.name for spec in world.offered()]
    for tool, spec in zip(turn.tools, world.offered(), strict=True):
        assert list(tool.parameters.properties) == tool.parameters.required == [p.name for p in spec.params]


@pytest.mark.parametrize("interface", INTERFACES)
def test_every_interface_offers_to_decline(interface: str) -> None:
    world = a_world()
    made = get_interface(interface)
    turn = made.turn(world, [], 4)
    shown = made.protocol(world) + turn.text + " ".join(t.name for t in turn.tools)
    assert "decline" in shown
    assert "wait" in shown


def test_options_differ_between_instances_settings_and_steps_and_not_between_looks() -> None:
    family, made = get_family("ops_horizon"), get_interface("choice")
    texts = [made.turn(Case(family, 2, i, Setting()).world(), [], 4).text for i in range(6)]
    assert len(set(texts)) == 6
    assert texts[0] == made.turn(Case(family, 2, 0, Setting()).world(), [], 4).text
