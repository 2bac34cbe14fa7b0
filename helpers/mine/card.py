"""The card of a trained network: what it was trained on, how, and how good it is; made from the report's facts."""

from typing import Any

LICENCE = "<!-- fill in: the licence under which you share these weights -->"


def card_of(facts: dict[str, Any]) -> str:
    """The card as Markdown; `facts` as `helpers.mine.report.write_report` collects them."""
    recipe = facts["recipe"]
    errors = "\n".join(
        f"| {name} | {row['iou']} | {row['mad']} | {row['band']} |" for name, row in facts["errors"].items()
    )
    return f"""# mine.safetensors

A portrait matting network ({facts["network"]}), trained on its owner's photos on {facts["date"]}.

## Licence

{LICENCE}

## Data

- {facts["checked"]} photos with mattes that somebody corrected or confirmed
- {facts["unchecked proposals"]} photos with the old network's own mattes, of which it was sure and nobody has looked at
- {facts["kept_out"]} photos kept out of the training, to measure on

## Recipe

Started from {facts["started_from"]}; preset `mine`: {facts["epochs"]} epochs at {facts["image_size"]}²,
{facts["trained"]} trained, {recipe["augmentation"]} augmentation, loss {recipe["loss"]}, one-cycle rate up to
{recipe["max_lr"]:g}, batches of {recipe["batch_size"]}, running average of the weights ({recipe["ema"]:g}). The weights
are those of the last epoch: none were chosen by the photos kept out.

## Numbers

On the {facts["kept_out"]} photos kept out, at their own size; in brackets, 95 % of the means when the photos are
resampled.

| network | IoU | MAD | MAD in the band |
|---|---|---|---|
{errors}

{" ".join(facts["verdict"])}
"""
