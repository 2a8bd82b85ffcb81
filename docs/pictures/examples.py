"""Made-up comparisons, one for each type of feedback: long, of many turns, with code, mathematics, and from right to left.

`take.py --types` makes a project of each and pictures the annotator's page with an answer begun.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SECONDS = {"calm": 14.0, "busy": 11.0}


@dataclass(frozen=True)
class Example:
    """`template`: the form; `prompt` and `completions` as the import shape `annotated` takes them; `keys`: what is pressed
    before the picture. `prompts`: one a completion, where they differ."""

    template: str
    prompt: Any
    completions: Sequence[Any]
    keys: Sequence[str]
    prompts: Sequence[Any] = ()


def chat(*turns: str, begin: str = "user") -> list[dict[str, str]]:
    """Turns of a user and an assistant in alternation."""
    others = {"user": "assistant", "assistant": "user"}
    roles = [begin]
    while len(roles) < len(turns):
        roles.append(others[roles[-1]])
    return [{"role": role, "content": text} for role, text in zip(roles, turns, strict=True)]


def tone(name: str) -> bytes:
    """A made-up sound as WAV: a slow or a busy melody."""
    rate, seconds = 8_000, SECONDS[name]
    notes, length = ([262, 330, 392, 330], 1.6) if name == "calm" else ([392, 523, 440, 587, 349], 0.35)
    samples = bytearray()
    for at in range(int(rate * seconds)):
        time = at / rate
        pitch, within = notes[int(time / length) % len(notes)], (time % length) / length
        samples.append(int(128 + 70 * math.sin(2 * math.pi * pitch * time) * (1 - within) ** 2))
    head = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, rate, 1, 8) + b"data" + struct.pack("<I", len(samples))
    return b"RIFF" + struct.pack("<I", len(head) + len(samples)) + head + bytes(samples)


MERGE = """Sort both lists first, then walk through them side by side:

```python
def merge(left: list[int], right: list[int]) -> list[int]:
    \"\"\"Both sorted lists as one.\"\"\"
    merged, i, j = [], 0, 0
    while i < len(left) and j < len(right):
        if left[i] <= right[j]:
            merged.append(left[i])
            i += 1
        else:
            merged.append(right[j])
            j += 1
    return merged + left[i:] + right[j:]  # one of them is empty
```

It takes $O(n + m)$ steps, since each turn of the loop moves one of the two indices and none ever goes back.

## Why `<=` and not `<`

With `<=` equal items keep their order, left before right: the merge is *stable*. That matters as soon as the items carry \
more than the key they are sorted by.
"""
SORTED = """The shortest way is to let Python do it:

```python
merged = sorted(left + right)
```

Timsort finds the two runs that are sorted already, so this is almost linear, $\\Theta(n + m)$, for two sorted lists. In \
general sorting takes

$$T(n) = 2\\,T\\!\\left(\\frac{n}{2}\\right) + \\Theta(n) = \\Theta(n \\log n).$$

| way | steps | stable |
|---|---|---|
| `sorted` | $n + m$ to $n \\log n$ | yes |
| `heapq.merge` | $n + m$ | yes |

Use `heapq.merge` where the lists are too long to hold both in memory; see [the manual](https://docs.python.org/3/library/heapq.html).
"""
GARDEN = chat(
    "My balcony faces north and gets no sun after ten in the morning. What can I grow?",
    "Herbs that like shade do well: parsley, chives, mint, lemon balm. Among flowers begonias and fuchsias. How large is it?",
    "Two metres by one. I would like something to eat from it, not only herbs.",
    "Then think of leaves rather than fruit: lettuce, spinach, chard and rocket need four hours of light at most.",
    "Would radishes work? And how deep do the pots have to be?",
)
RADISH = (
    "Radishes are worth a try, though without afternoon sun they take five to six weeks instead of four, and some will make"
    " leaves and no root. Sow them thinly, 3 cm apart.\n\n**Depth of the pots**\n\n- lettuce, rocket: 15 cm\n- radishes,"
    " spinach: 20 cm\n- chard: 30 cm\n\nOn two square metres I would plant chard along the wall and cut-and-come-again lettuce in"
    " front, because both can be cut for months."
)
NO_RADISH = (
    "Yes, radishes will work everywhere. Use any pot that you have, and water every day. You will harvest after three weeks,"
    " and you can sow tomatoes in between, which will be ripe in July even on the north side."
)
CITY = "اكتب فقرة قصيرة عن مدينة ساحلية في الشتاء، ثم ترجم جملتها الأولى إلى الإنجليزية."
CITIES = (
    "في الشتاء تهدأ المدينة الساحلية، وتعود الأمواج وحدها إلى الرصيف. تُغلَق المقاهي الصيفية، ويمشي أهلها على مهل تحت سماء رمادية.\n\n"
    "> In winter the coastal city grows calm, and the waves return alone to the pier.",
    "المدينة في الشتاء باردة وفيها بحر. الناس قليلون والمحلات مغلقة، وهذا كل شيء.\n\n> The city is cold.",
    "حين يأتي الشتاء يصير البحر أعلى صوتًا من الشوارع. رائحة الملح تملأ الأزقة، والصيادون يصلحون شباكهم في `الميناء القديم` "
    "قرب الفنار (1894).\n\n> When winter comes, the sea grows louder than the streets.",
)
PROOF = (
    "Suppose $\\sqrt{2} = p/q$ with $p, q$ whole and without a common factor.\n"
    "Then $p^2 = 2q^2$, so $p^2$ is even.\n"
    "If $p^2$ is even, then $p$ is even: write $p = 2r$.\n"
    "Then $4r^2 = 2q^2$, that is $q^2 = 2r^2$, so $q$ is odd.\n"
    "Both $p$ and $q$ would be even, against what was supposed. $\\blacksquare$"
)
LETTER = (
    "Dear Ms. Okafor,\n\nthank you for you're letter of 3 May. We have looked at the delivery again, and we are sorry that two"
    " of the twelve chairs arrived broken. We will send you two new ones next week, at no cost.\n\nWe would kindly ask you to be"
    " keep the broken ones until our driver picks them up.\n\nYours sincerely"
)
QUEUE = """The function reads the queue without waiting:

```python
def next_job(queue):
    while True:
        job = queue.get(timeout=0)
        if job: return job
```

It returns the newest job first, so that no job waits longer than a second. Use `queue.get()` without a timeout where waiting is fine.
"""

EXAMPLES: dict[str, Example] = {
    "pairwise": Example("pairwise-reasons", "How do I merge two sorted lists in Python?", (MERGE, SORTED), ("6", "w")),
    "listwise": Example("listwise", CITY, CITIES, ("c", "1", "a", "2")),
    "binary": Example("principles", GARDEN, (chat(RADISH, begin="assistant"),), ("2", "1", "1")),
    "rating": Example("helpsteer2", GARDEN, tuple(chat(one, begin="assistant") for one in (RADISH, NO_RADISH)), tuple("43432")),
    "joint": Example(
        "joint", None, (SORTED, PROOF), (),
        ("How do I merge two sorted lists in Python?", "Prove that the square root of two is not rational."),
    ),
    "stepwise": Example("steps", "Prove that the square root of two is not rational.", (PROOF,), tuple("1113")),
    "edit": Example(
        "edit", "Answer the customer: two of the twelve chairs that were delivered are broken.",
        (LETTER, "We are sorry. We will replace the chairs."), ("2", "e"),
    ),
    "spans": Example(
        "spans", "What does `next_job` do, and is it right?", (QUEUE,),
        ("m", *["ArrowDown"] * 7, *["Shift+ArrowRight"] * 4, "Enter", "1", "2"),
    ),
    "segments": Example(
        "segments", "A calm melody for a rainy evening.", ("calm", "busy"),
        ("2", "ArrowRight", "ArrowRight", "m", *["ArrowRight"] * 3, "m", "1", "ArrowRight", "m", *["ArrowRight"] * 4, "m", "4"),
    ),
}  # fmt: skip


def row(example: Example) -> dict[str, Any]:
    """The example as one row of the shape `annotated` that waits to be judged; sounds as bytes, for Parquet."""
    completions = [{"id": str(at), **_said(one)} for at, one in enumerate(example.completions)]
    for one, prompt in zip(completions, example.prompts, strict=False):
        one["prompt"] = prompt
    is_sound = example.template == "segments"
    prompt = chat(example.prompt) if is_sound else example.prompt
    return {**({} if prompt is None else {"prompt": prompt}), "completions": completions, "annotations": []}


def _said(completion: Any) -> dict[str, Any]:
    if isinstance(completion, list):
        return {"messages": completion}
    if completion not in SECONDS:
        return {"text": completion}
    sound = {"bytes": tone(completion), "path": f"{completion}.wav"}
    part = {"type": "audio", "audio": sound, "text": f"A {completion} melody"}
    return {"messages": [{"role": "assistant", "content": [part]}]}


def as_line(example: Example) -> str:
    """The row as a line of JSON, for all but sounds."""
    return json.dumps(row(example), ensure_ascii=False) + "\n"
