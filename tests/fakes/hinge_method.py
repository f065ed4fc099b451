"""A method of another package: a record, a builder and its texts.

DPO with the hinge loss of SLiC (arXiv 2305.10425), which pushes pairs apart up to a margin only.
"""

from align_core.config.methods import KL, LOSS, REWARD, Chart, Curve, FromTask, Method

HINGE = Method(
    "hinge",
    learns_from="pairs",
    makes="policy",
    options={
        "model": FromTask("reference"),
        "beta": 0.5,
        "steps": 20,
        "learning_rate": 1e-3,
        "batch_size": 8,
        "eval_every": 10,
        "preferences": None,
        "preference_pairs": 64,
        "label_noise": 0.0,
        "coverage": "all",
        "pair_source": None,
    },
    charts=(
        REWARD,
        KL,
        Chart("apart", (Curve("rewards/margins", "proxy", "dot"),), below=True),
        LOSS,
    ),
    build="hinge_method:build",
    words={
        "en": {
            "name": "Hinge",
            "explanation": "Pushes pairs a margin apart, and no further.",
            "charts": {
                "titles": {"apart": "How far apart"},
                "help": {"apart": "The margin between the texts of a pair, in nats."},
            },
        }
    },
)


def build(setup):
    from align_core.trainers import dpo

    return dpo.make_trainer(
        setup.model,
        setup.reference,
        setup.tokenizer,
        setup.data,
        beta=setup.config.beta,
        lora_r=setup.config.lora_r,
        loss_type="hinge",
        **setup.arguments,
    )
