"""Trains the sentencepiece model on captions: unigram, T5 layout (pad 0, eos 1, unk 2). Writes OUT/tokenizer/."""

import io
import json
import os
import random
import sys

import sentencepiece

import captions
from clips import load_names

PIECES = 960
CAPTIONS = 60_000
JOINT = "\t"  # marks where Chinese words end, so that no piece spans two of them


def main(out):
    names = load_names(out)
    rng = random.Random(1)
    lines = []
    for _ in range(CAPTIONS // 2):
        scene = captions.draw_scene(len(names), rng)
        lines += [captions.english(names, *scene, rng), captions.chinese(names, *scene, rng, JOINT)]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, model_type="unigram", vocab_size=PIECES,
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, character_coverage=1.0, normalization_rule_name="nmt_nfkc_cf",
        split_by_whitespace=True, minloglevel=1, num_threads=2,
        pretokenization_delimiter=JOINT)
    os.makedirs(f"{out}/tokenizer", exist_ok=True)
    with open(f"{out}/tokenizer/spiece.model", "wb") as f:
        f.write(model.getvalue())
    with open(f"{out}/tokenizer/tokenizer_config.json", "w", encoding="utf-8") as f:
        json.dump({"tokenizer_class": "T5Tokenizer", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>",
                   "extra_ids": 0, "model_max_length": 512}, f, indent=1)
    tokens = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    longest = max(len(tokens.encode(line.replace(JOINT, ""))) for line in lines)
    for line in lines[:4]:
        print(tokens.encode(line.replace(JOINT, ""), out_type=str))
    print(f"{tokens.get_piece_size()} pieces, longest caption {longest} pieces")


if __name__ == "__main__":
    main(sys.argv[1])
