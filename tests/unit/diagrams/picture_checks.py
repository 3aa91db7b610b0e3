"""Checks for every picture: no element covers another, and every edge is horizontal or vertical."""

import itertools

from diagrams.picture.elements import Box, Picture


def no_words_cover_others(picture: Picture) -> None:
    for one, other in itertools.combinations(picture.every_text, 2):
        assert not overlap(one.extent, other.extent), f"{one.words!r} and {other.words!r}"


def all_words_are_on_the_page_and_in_their_boxes(picture: Picture) -> None:
    for text in picture.every_text:
        left, top, right, bottom = text.extent
        assert left >= 0 and top >= 0 and right <= picture.width and bottom <= picture.height, text.words  # noqa: PT018
    for box in picture.boxes:
        for text in box.texts:
            left, top, right, bottom = text.extent
            assert box.left <= left and right <= box.right and box.top <= top and bottom <= box.bottom, text.words  # noqa: PT018


def no_label_lies_on_a_box(picture: Picture) -> None:
    labels = [*picture.texts, *(label for edge in picture.edges for label in edge.labels)]
    for label, box in itertools.product(labels, picture.boxes):
        assert not overlap(label.extent, extent(box)), f"{label.words!r} lies on {box.state or box.title}"


def no_boxes_overlap(picture: Picture) -> None:
    for one, other in itertools.combinations(picture.boxes, 2):
        assert not overlap(extent(one), extent(other)), f"{one.state} and {other.state}"


def no_line_runs_through_a_box(picture: Picture) -> None:
    for edge, box in itertools.product(picture.edges, picture.boxes):
        left, top, right, bottom = extent(box)
        inner = (left + 1, top + 1, right - 1, bottom - 1)
        for (ax, ay), (bx, by) in itertools.pairwise(edge.points):
            line = (min(ax, bx), min(ay, by), max(ax, bx) + 0.1, max(ay, by) + 0.1)
            assert not overlap(line, inner), (
                f"{[transition.trigger for transition in edge.transitions]} runs through {box.state}"
            )


def no_line_runs_through_words(picture: Picture) -> None:
    words = [*picture.texts, *(label for edge in picture.edges for label in edge.labels)]
    for edge, text in itertools.product(picture.edges, words):
        for (ax, ay), (bx, by) in itertools.pairwise(edge.points):
            line = (min(ax, bx) - 1, min(ay, by) - 1, max(ax, bx) + 1, max(ay, by) + 1)
            assert not overlap(line, text.extent), (
                f"{[transition.trigger for transition in edge.transitions]} through {text.words!r}"
            )


def lines_are_level_or_upright(picture: Picture) -> None:
    for edge in picture.edges:
        for (ax, ay), (bx, by) in itertools.pairwise(edge.points):
            assert ax == bx or ay == by


def extent(box: Box) -> tuple[float, float, float, float]:
    return box.left, box.top, box.right, box.bottom


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


EVERY = (
    no_words_cover_others,
    all_words_are_on_the_page_and_in_their_boxes,
    no_label_lies_on_a_box,
    no_boxes_overlap,
    no_line_runs_through_a_box,
    no_line_runs_through_words,
    lines_are_level_or_upright,
)
