import numpy as np

from helpers.metrics.errors import matting_metrics
from helpers.metrics.outlines import outlined_portraits


def test_the_outlines_say_person_where_a_face_is_and_background_in_the_upper_corners():
    faces = {"grace_hopper": (210, 260), "astronaut": (110, 225)}
    for portrait in outlined_portraits():
        y, x = faces[portrait.name]
        assert portrait.known[y, x] and portrait.true[y, x] == 1
        for corner in (np.s_[:20, :20], np.s_[:20, -20:]):
            assert portrait.known[corner].all() and not portrait.true[corner].any()
        assert portrait.photo.shape[:2] == portrait.true.shape == portrait.known.shape


def test_most_pixels_are_known_but_none_at_the_outline_or_in_the_helmet():
    for portrait in outlined_portraits():
        assert 0.7 < portrait.known.mean() < 0.95
        steps = np.diff(portrait.true, axis=1) != 0
        assert not portrait.known[:, 1:][steps].any()
    assert not outlined_portraits()[1].known[450, 400]


def test_a_mask_that_misses_the_known_part_is_measured_as_such():
    portrait = outlined_portraits()[0]
    nothing = matting_metrics(np.zeros_like(portrait.true), portrait.true, portrait.known)
    assert np.isclose(nothing["mad"], portrait.true[portrait.known].mean())
    assert nothing["iou"] == 0
