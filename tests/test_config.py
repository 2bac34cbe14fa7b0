"""The presets, and the refusal of every setting that cannot be meant."""

import dataclasses
from pathlib import Path

import pytest

from helpers.config import PRESETS, Config, field_rules, load_config, parse_setting
from helpers.losses import LOSSES
from helpers.networks.registry import NETWORKS
from helpers.samples.strong_augment import PIPELINES
from helpers.schedule import SCHEDULES

FIELDS = {field.name for field in dataclasses.fields(Config)}

CHOICES = {
    "network": ("u2net", "u2net_lite", "u2net_knet", "resnet50_unet"),
    "start": ("random", "pretrained", "own"),
    "schedule": ("one_cycle", "plateau", "no_annihilation", "constant", "step", "cosine", "triangular"),
    "loss": ("report", "notebook", "cross_entropy", "l1"),
    "edge_on": ("fused", "all"),
    "augmentation": ("report", "strong"),
    "truth": ("annotations", "mattes"),
    "best_by": ("loss", "mse", "mad", "iou"),
    "precision": ("auto", "float32", "bfloat16", "float16"),
}
MINIMUM = {
    "image_size": 16, "batch_size": 1, "micro_batch": 0, "epochs": 1, "clip": 0, "ema": 0, "edge_weight": 0,
    "edge_width": 1, "rough_width": 1, "patience": 0, "checkpoint_every": 1, "log_every": 1, "workers": 0, "seed": 0,
    "synthetic_count": 8, "synthetic_size": 64,
}  # fmt: skip


def test_the_rules_of_the_fields_are_complete():
    rules = field_rules()
    assert rules.keys() == FIELDS
    assert {name: tuple(rule["enum"]) for name, rule in rules.items() if "enum" in rule} == CHOICES
    assert {name: rule["minimum"] for name, rule in rules.items() if "minimum" in rule} == MINIMUM


def test_every_choice_is_known_where_it_is_used():
    assert CHOICES["network"] == NETWORKS
    assert CHOICES["loss"] == tuple(LOSSES)
    assert set(CHOICES["schedule"]) == {*SCHEDULES, "plateau"}
    assert CHOICES["augmentation"] == tuple(PIPELINES)


def test_the_presets_carry_their_names():
    assert list(PRESETS) == [
        "smoke",
        "quick",
        "paper",
        "experiment",
        "protocol",
        "hires",
        "mine",
        "rmbg",
        "rmbg_sample",
    ]
    assert all(preset.name == name for name, preset in PRESETS.items())


def test_the_papers_numbers():
    paper = load_config("paper")
    assert (paper.network, paper.image_size, paper.batch_size, paper.epochs) == ("u2net", 320, 8, 15)
    assert (paper.max_lr, paper.checkpoint_every, paper.log_every) == (1e-3, 3, 200)
    assert (paper.loss, paper.edge_weight, paper.edge_width, paper.truth) == ("report", 1.0, 7, "annotations")
    assert paper == Config()


def test_hires_is_the_paper_at_720():
    assert load_config("hires").image_size == 720
    for name in ("network", "epochs", "max_lr", "loss", "edge_weight", "checkpoint_every"):
        assert getattr(load_config("hires"), name) == getattr(load_config("paper"), name)


def test_the_test_preset_never_downloads():
    assert load_config("smoke").download is False


def test_quick_unless_the_environment_names_another(monkeypatch):
    monkeypatch.delenv("PORTRAIT_PRESET", raising=False)
    assert load_config().name == "quick"
    monkeypatch.setenv("PORTRAIT_PRESET", "")
    assert load_config().name == "quick"
    monkeypatch.setenv("PORTRAIT_PRESET", "hires")
    assert load_config().name == "hires"
    assert load_config("smoke").name == "smoke"


def test_an_unknown_preset_is_refused_with_the_known_ones(monkeypatch):
    with pytest.raises(ValueError, match="'huge'.*smoke, quick, paper, experiment, protocol, hires"):
        load_config("huge")
    monkeypatch.setenv("PORTRAIT_PRESET", "enormous")
    with pytest.raises(ValueError, match="'enormous'.*smoke, quick, paper, experiment, protocol, hires"):
        load_config()


def test_an_unknown_field_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="'epoch'") as caught:
        load_config("paper", epoch=3)
    assert all(name in str(caught.value) for name in FIELDS)


def test_single_fields_are_replaced():
    changed = load_config("paper", epochs=3, edge_weight=4)
    assert dataclasses.asdict(changed) == dataclasses.asdict(load_config("paper")) | {"epochs": 3, "edge_weight": 4}


def test_a_configuration_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        load_config("quick").epochs = 3


@pytest.mark.parametrize("name", MINIMUM)
def test_values_below_the_minimum_are_refused(name):
    allowed = {"network": "resnet50_unet"} if name == "image_size" else {}
    assert getattr(Config(**allowed, **{name: MINIMUM[name]}), name) == MINIMUM[name]
    with pytest.raises(ValueError, match=f"{name}=.*{MINIMUM[name]} or more"):
        Config(**{name: MINIMUM[name] - 1})


@pytest.mark.parametrize("name", CHOICES)
def test_other_choices_are_refused_with_the_known_ones(name):
    assert [getattr(Config(**{name: choice}), name) for choice in CHOICES[name]] == list(CHOICES[name])
    with pytest.raises(ValueError, match=f"{name}='else'.*{', '.join(CHOICES[name])}"):
        Config(**{name: "else"})


def test_all_that_is_wrong_is_told_at_once_in_one_line():
    expected = r"^epochs=0: expected a whole number, 1 or more; clip=-1: expected a finite number, 0 or more$"
    with pytest.raises(ValueError, match=expected) as caught:
        Config(epochs=0, clip=-1)
    assert type(caught.value) is ValueError
    with pytest.raises(ValueError, match=r"^max_lr='fast': expected a finite number above 0 or auto$"):
        Config(max_lr="fast")
    with pytest.raises(ValueError, match=r"^ema=1: expected a finite number, 0 or more and below 1$"):
        Config(ema=1)


def test_the_weight_of_the_transition_term_is_the_losss_own_unless_it_is_given():
    """1 in the report, 4 in the published notebook."""
    assert Config().edge_weight == Config(loss="l1").edge_weight == 1
    assert Config(loss="notebook").edge_weight == 4
    assert Config(loss="notebook", edge_weight=2).edge_weight == 2
    for preset in PRESETS:
        assert load_config(preset, loss="notebook").edge_weight == 4
        assert load_config(preset, loss="notebook", edge_weight=1).edge_weight == 1
        assert load_config(preset, loss=PRESETS[preset].loss) == PRESETS[preset]
    assert load_config("rmbg").edge_weight == 0
    assert load_config("rmbg", loss="report").edge_weight == 1


@pytest.mark.parametrize("schedule", ["one_cycle", "no_annihilation", "step", "cosine", "triangular"])
def test_patience_is_refused_where_the_rates_are_planned_to_the_end(schedule):
    with pytest.raises(
        ValueError, match=f"patience=3 contradicts schedule={schedule}.*set schedule=plateau or patience=0"
    ):
        Config(schedule=schedule, patience=3)
    assert Config(schedule="plateau", patience=3).patience == Config(schedule="constant", patience=3).patience == 3


@pytest.mark.parametrize("name, value", [
    ("epochs", 1.5), ("epochs", "3"), ("epochs", True), ("batch_size", None), ("max_lr", "fast"), ("max_lr", False),
    ("download", 1), ("network", 7), ("max_lr", 0), ("max_lr", -1e-3), ("max_lr", float("nan")),
    ("max_lr", float("inf")), ("edge_weight", float("nan")), ("edge_weight", float("inf")), ("edge_width", 6),
])  # fmt: skip
def test_impossible_values_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"^{name}="):
        Config(**{name: value})


def test_a_whole_number_will_do_where_a_fraction_may_stand():
    assert Config(max_lr=1, edge_weight=0).max_lr == 1


@pytest.mark.parametrize("text, setting", [
    ("epochs=5", ("epochs", 5)), ("max_lr=3e-4", ("max_lr", 3e-4)), ("edge_weight=4", ("edge_weight", 4.0)),
    ("network=u2net_lite", ("network", "u2net_lite")), ("download=False", ("download", False)),
    ("download=true", ("download", True)),
])  # fmt: skip
def test_settings_are_read_with_the_type_of_their_field(text, setting):
    key, value = parse_setting(text)
    assert (key, value) == setting
    assert type(value) is type(setting[1])


@pytest.mark.parametrize("text", ["epochs", "epoch=5", "=5", "epochs=five", "epochs=1.5", "epochs=", "download=1"])
def test_other_settings_are_refused_as_they_were_written(text):
    with pytest.raises(ValueError, match=f"^'{text}': expected"):
        parse_setting(text)


def test_the_presets_own_name_is_no_setting():
    with pytest.raises(ValueError, match="^'name=mine': expected"):
        parse_setting("name=mine")


def test_the_readme_tells_the_presets_as_they_are():
    lines = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8").splitlines()
    for name, config in PRESETS.items():
        row = next(line for line in lines if line.startswith(f"| `{name}`"))
        network = {"u2net": "full", "u2net_lite": "lite", "resnet50_unet": "ResNet50 U-Net"}[config.network]
        assert f"| {network}, {config.image_size}² |" in row
        if name in ("smoke", "quick"):
            assert f"| {config.synthetic_count} synthetic portraits, {config.epochs} epochs |" in row
