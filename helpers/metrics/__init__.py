"""Matting errors, of one matte or of a folder."""

from helpers.metrics.errors import (
    boundary_iou,
    matting_metrics,
    mean_metrics,
    metrics_by_region,
    transition_band,
    unknown_region,
)
from helpers.metrics.folders import score_folders

__all__ = [
    "boundary_iou",
    "matting_metrics",
    "mean_metrics",
    "metrics_by_region",
    "score_folders",
    "transition_band",
    "unknown_region",
]
