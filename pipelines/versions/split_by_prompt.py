"""Which split a prompt belongs to: decided by a keyed hash of its text, so that it never moves."""

from __future__ import annotations

import hmac

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)


def split_of(salt: bytes, prompt_sha256: bytes, *, train_percent: int, validation_percent: int) -> str:
    """The split of a prompt.

    Args:
        salt: the project's, fixed for its life.
        prompt_sha256: content hash of the prompt's text.
        train_percent, validation_percent: whole percent, together at most 100; test has the rest.

    Example:
        >>> split_of(b"salt", b"prompt", train_percent=100, validation_percent=0)
        'train'
    """
    drawn = int.from_bytes(hmac.digest(salt, prompt_sha256, "sha256")[:8], "big") * 100 / 2**64
    if drawn < train_percent:
        return TRAIN
    return VALIDATION if drawn < train_percent + validation_percent else TEST
