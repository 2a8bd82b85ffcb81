"""Turns of stored texts; the shared ones once, and only what differs for each completion."""

from __future__ import annotations

import json
from dataclasses import dataclass
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.rendering.turns import Part, ToolCall, Turn, arguments_shown, one_line, parted, sections, turns


@dataclass(frozen=True)
class Stored:
    form: str
    body: str


def plain(body: str) -> Stored:
    return Stored("plain", body)


def messages(*found: tuple[str, str]) -> Stored:
    return Stored("messages", json.dumps([{"role": role, "content": content} for role, content in found]))


def test_turns_and_one_line() -> None:
    body = '[{"content":"Hi","role":"user"},{"content":"Yes\\n now","role":"assistant"}]'
    assert turns("messages", body) == [Turn("user", "Hi"), Turn("assistant", "Yes\n now")]
    assert one_line("messages", body) == "Yes now"


def test_only_a_tools_answer_has_its_name() -> None:
    named = [{"role": role, "content": "x", "name": "gpt-4-turbo"} for role in ("assistant", "user", "tool")]
    assert [turn.tool for turn in turns("messages", json.dumps(named))] == ["", "", "gpt-4-turbo"]


def test_a_transcript_has_turns() -> None:
    found = parted(plain("\n\nHuman: One?\n\nAssistant: 1\n\nHuman: Two?\n\nAssistant:"), [plain(" 2"), plain(" 3")])
    assert [(turn.role, turn.content, turn.number) for turn in found.shared] == [
        ("user", "One?", 1), ("assistant", "1", 2), ("user", "Two?", 3),
    ]  # fmt: skip
    assert [(rest[0].role, rest[0].content, rest[0].number) for rest in found.rest] == [
        ("assistant", " 2", 4), ("assistant", " 3", 4),
    ]  # fmt: skip


def test_turns_with_which_all_completions_begin_are_shared() -> None:
    prompt = messages(("system", "Be brief."), ("user", "Plan it."))
    one = messages(("assistant", "Look."), ("tool", "found"), ("assistant", "A"))
    other = messages(("assistant", "Look."), ("tool", "found"), ("assistant", "B"), ("user", "and?"))
    found = parted(prompt, [one, other])
    assert [turn.who for turn in found.shared] == ["System", "User, turn 1", "Assistant, turn 2", "Tool result, turn 3"]
    assert [[turn.content for turn in rest] for rest in found.rest] == [["A"], ["B", "and?"]]
    assert found.rest[1][1].who == "User, turn 5"


def test_a_completion_that_begins_another_keeps_its_last_turn() -> None:
    short, long = messages(("assistant", "x")), messages(("assistant", "x"), ("user", "y"))
    assert [len(rest) for rest in parted(plain("p"), [short, long]).rest] == [1, 2]
    assert [len(rest) for rest in parted(plain("p"), [long, long]).rest] == [1, 1]


def test_older_shared_turns_fold_under_a_title() -> None:
    talk = [("system", "s"), ("user", "How does softmax overflow?"), ("assistant", "So."), ("user", "And now?")]
    found = parted(messages(*talk), [messages(("assistant", "a")), messages(("assistant", "b"))])
    assert [turn.role for turn in found.first] == ["system"]
    assert [turn.number for turn in found.folded] == [1, 2]
    assert found.title == "How does softmax overflow?"
    assert [turn.content for turn in found.last] == ["And now?"]
    few = parted(messages(*talk[:3]), [])
    assert few.folded == () and len(few.last) == 2


def test_an_empty_completion_is_an_empty_turn() -> None:
    found = parted(plain("p"), [plain(""), messages()])
    assert all(rest[0].is_empty for rest in found.rest)


CALLS = [
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"q": 1}'}},
            {"name": "hf", "arguments": {"q": 2}},
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "42"},
    {"role": "user", "content": [{"type": "text", "text": "See"}, {"type": "image", "image": "sha256:ab", "text": "A cat"}]},
    {"role": "assistant", "content": "x", "refusal": "no"},
]


def test_calls_results_parts_and_the_rest() -> None:
    call, result, parts, more = turns("messages", json.dumps(CALLS))
    assert call.calls[0] == ToolCall("look", '{"q": 1}') and call.calls[1].name == "hf"
    assert json.loads(call.calls[1].arguments) == {"q": 2} and call.content == ""
    assert (result.tool, result.content) == ("look", "42")
    assert parts.shown == (Part("text", "See"), Part("image", "A cat", "ab"))
    assert json.loads(more.more) == {"refusal": "no"}
    assert arguments_shown('{"q":1}') == '{\n  "q": 1\n}' and arguments_shown("{broken") == "{broken"


@pytest.mark.parametrize(
    "content", ["null", "5", '[{"type":"image","image":"https://e.example/x.png"}]', '[7]', '{"a":1}', '[{"type":"image"}]']
)
def test_odd_content_is_shown_as_it_is(content: str) -> None:
    (turn,) = turns("messages", f'[{{"role":"user","content":{content}}}]')
    assert all(part.kind == "text" for part in turn.shown)
    assert content == "null" or turn.content


@given(st.text(alphabet="ab \n`#", max_size=400), st.integers(1, 60))
def test_sections_joined_are_the_text(text: str, most: int) -> None:
    found = sections(text, most)
    assert "".join(found) == text
    assert all(len(section) <= most or section.count("\n") <= 1 for section in found)


def test_a_section_ends_between_paragraphs_not_in_code() -> None:
    text = "one\n\n```\ncode\n\nmore\n```\n\ntwo\n\nthree\n"
    assert sections(text, 27)[0].endswith("```\n\n")


def test_a_chat_of_200_turns_is_fast() -> None:
    talk = [("user" if at % 2 == 0 else "assistant", f"Turn {at}: **bold** `code` $x^{at}$ " * 20) for at in range(200)]
    start = process_time()
    found = parted(messages(*talk), [messages(("assistant", "a")), messages(("assistant", "b"))])
    assert len(found.folded) == 199 and process_time() - start < 0.2
