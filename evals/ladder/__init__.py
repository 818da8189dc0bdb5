"""The reference ladder: small transformers that the project trained itself, with exactly known parameters, tokens and FLOP.

    recipe.yaml   what is trained, on what, with which seed: the configuration
    recipe.py     reads it
    episodes.py   episodes of the project's own families as conversations (no torch)
    vocabulary.py the byte-level BPE vocabulary, and conversations as rows of tokens (extra `ladder`)
    network.py    a Llama in torch
    training.py   one member: data, optimiser, checkpoints, counted FLOP
    gguf_file.py  the trained weights as a file for llama.cpp
    ladder.yaml   what was trained: counts, hashes, losses (written by the training)
    weights/      the shipped files

Running a member (`ladder/NAME`) needs the extra `local` only; training needs the extra `ladder`.
"""
