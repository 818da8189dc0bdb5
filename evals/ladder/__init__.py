"""The reference ladder: small transformers that the project trained itself, with exactly known parameters, tokens and FLOP.

    recipe.yaml   what is trained, on what, with which seed: the configuration
    recipe.py     reads it
    episodes.py   episodes of the project's own families as conversations (no torch)
    vocabulary.py the byte-level BPE vocabulary, and conversations as rows of tokens (extra `ladder`)
    network.py    a Llama in torch
    training.py   one member: data, optimiser, checkpoints, counted FLOP
    gguf_file.py  the trained weights as a file for llama.cpp
    shipping.py   what a training leaves: members/ (counts, hashes, losses), weights/, ModelRecords in registry/ladder.yaml
    forecasts.py  dates from roadmap.yaml, the plan of trainings; the largest member asked of the smaller ones

Running a member (`ladder/NAME`) needs the extra `local` only; training needs the extra `ladder`.
"""
