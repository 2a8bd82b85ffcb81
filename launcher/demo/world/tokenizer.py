"""A tokenizer of whole words, exactly as large as the world: no id is without a word, so none can be sampled."""

from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from launcher.demo.world.grammar import vocabulary

PAD, BEGIN, END, UNKNOWN = "<pad>", "<begin>", "<end>", "<unk>"
MAX_LENGTH = 128


def tokenizer_build() -> PreTrainedTokenizerFast:
    """The world's tokenizer: every sequence begins with BEGIN, and whoever trains adds END after an answer.

    Words and punctuation marks are divided by their own shape rather than by spaces alone, because trainers
    join prompt and completion without a space.
    """
    words = [PAD, BEGIN, END, UNKNOWN, *vocabulary()]
    ids = {word: index for index, word in enumerate(words)}
    tokenizer = Tokenizer(WordLevel(ids, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = Split(Regex(r"\w+|[^\w\s]"), behavior="removed", invert=True)
    tokenizer.post_processor = TemplateProcessing(
        single=f"{BEGIN} $A", pair=f"{BEGIN} $A $B", special_tokens=[(BEGIN, ids[BEGIN])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BEGIN,
        eos_token=END,
        unk_token=UNKNOWN,
        model_max_length=MAX_LENGTH,
        clean_up_tokenization_spaces=False,
    )
