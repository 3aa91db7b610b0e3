"""Write the branches of a group as a composite state, which PlantUML and Mermaid write alike."""

from collections.abc import Callable

from diagrams.text.branch_outline import Frame


def composite(frame: Frame, text: Callable[[str], str], indent: str) -> list[str]:
    """Return the lines of a state that has its branches inside, between a fork and a join.

    text: replaces the characters with a meaning in the format.
    """
    lines = [f'{indent}state "{text(frame.title)}" as {frame.id} {{']
    lines += [f"{indent}  state {frame.fork} <<fork>>", f"{indent}  state {frame.join} <<join>>"]
    for lane in frame.lanes:
        for node in lane.nodes:
            if isinstance(node, Frame):
                lines += composite(node, text, f"{indent}  ")
            else:
                lines.append(f'{indent}  state "{text(node.lines[0])}" as {node.id}')
                lines += [f"{indent}  {node.id} : {text(words)}" for words in node.lines[1:]]
        for arrow in lane.arrows:
            when = f" : {text(arrow.when)}" if arrow.when else ""
            lines.append(f"{indent}  {arrow.source} --> {arrow.dest}{when}")
    return [*lines, f"{indent}}}"]
