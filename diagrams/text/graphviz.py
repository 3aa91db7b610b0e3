"""Write a saga's table as a Graphviz graph: every transition is an edge."""

from diagrams.descriptions import POINT_OF_NO_RETURN, QUARANTINE, condition_of, edge_kind, named, notes, shape_of
from diagrams.step_bands import grid_positions, step_bands
from diagrams.text.branch_outline import Frame, frames
from machines.saga import Saga
from machines.step import Kind
from machines.transitions import Phase, State, Transition, Trigger

LOOKS = {
    "forward": 'shape=box style="rounded,filled" fillcolor="#e6f1f8" color="#0072b2" penwidth=2',
    "passing": 'shape=box style="rounded,dashed" color="#0072b2"',
    "waiting": 'shape=box style="rounded,dashed" color="#5a6570" penwidth=2',
    "failure": 'shape=octagon style=filled fillcolor="#fbe6da" color="#d55e00"',
    "undoing": 'shape=box style="filled,dashed" fillcolor="#fdf1d5" color="#b27a00" penwidth=2',
    "stuck": 'shape=hexagon style=filled fillcolor="#f6e1ee" color="#a8447c" penwidth=3',
    QUARANTINE: 'shape=hexagon style=dotted color="#5a6570" fontcolor="#5a6570" fontsize=9 height=0.2 margin=0.02',
    "completed": 'shape=box style="rounded,filled" peripheries=2 fillcolor="#d9f0e8" color="#007a59"',
    "compensated": 'shape=box style="rounded,filled" peripheries=2 fillcolor="#eef0f2" color="#5a6570"',
}
_WAYS = {
    "forward": 'color="#0072b2" penwidth=2 weight=8',
    "fail": 'color="#d55e00"',
    "back": 'color="#b27a00" style=dashed constraint=false',
    "lost": 'color="#a8447c"',
    "person": 'color="#a8447c" style=dotted constraint=false',
    QUARANTINE: 'color="#5a6570" fontcolor="#5a6570" style=dotted arrowsize=0.6 constraint=false',
}
_FRAME = 'labeljust=l fontsize=11 style=rounded color="#5a6570"'
_BAR = 'shape=box style=filled fillcolor="#15191e" height=0.05 width=1.2 fixedsize=true label=""'
#: The line between a state and the branches that it waits for.
_TIE = 'color="#5a6570" style=dashed arrowhead=none'


def graphviz(saga: Saga) -> str:
    lines = [
        f"digraph {quoted(str(saga))} {{",
        f"  graph [label={quoted(str(saga))} labelloc=t fontname=Helvetica fontsize=18 nodesep=0.5 ranksep=0.5]",
        "  node [fontname=Helvetica fontsize=11]",
        "  edge [fontname=Helvetica fontsize=9]",
        '  "*" [shape=point width=0.15 label=""]',
        f'  "*" -> {quoted(saga.initial)} [arrowhead=vee]',
    ]
    lines += [_node(saga, state) for state in saga.states.values()]
    lines += [_edge(saga, transition) for transition in saga.transitions]
    lines += [f"  {quoted(b.failure)} -> {quoted(b.stuck)} [style=invis]" for b in step_bands(saga) if b.failure]
    lines += _ranks(saga)
    for frame in frames(saga):
        lines += _cluster(frame, "  ")
        lines += [
            f"  {quoted(frame.state or '')} -> {quoted(frame.fork)} [{_TIE}]",
            f"  {quoted(frame.join)} -> {quoted(frame.done)} [{_TIE}]",
        ]
    return "\n".join([*lines, "}", ""])


def _cluster(frame: Frame, indent: str) -> list[str]:
    """Return the cluster of a group, with a bar at which its branches begin and one at which they end."""
    lines = [f"{indent}subgraph {quoted(f'cluster_{frame.id}')} {{", f"{indent}  label={quoted(frame.title)} {_FRAME}"]
    lines += [f"{indent}  {quoted(bar)} [{_BAR}]" for bar in (frame.fork, frame.join)]
    for lane in frame.lanes:
        for node in lane.nodes:
            if isinstance(node, Frame):
                lines += _cluster(node, f"{indent}  ")
            else:
                lines.append(
                    f"{indent}  {quoted(node.id)} [label={quoted(chr(10).join(node.lines))} {LOOKS['forward']}]"
                )
        for arrow in lane.arrows:
            label = f" label={quoted(arrow.when)}" if arrow.when else ""
            lines.append(f"{indent}  {quoted(arrow.source)} -> {quoted(arrow.dest)} [{_WAYS['forward']}{label}]")
    return [*lines, f"{indent}}}"]


def _ranks(saga: Saga) -> list[str]:
    """Return the Graphviz statements that put the states of each grid row on one line."""
    found: dict[int, list[str]] = {0: ['"*"']}
    for state, (row, _) in grid_positions(saga).items():
        found.setdefault(row, []).append(quoted(state))
    return [f"  {{ rank=same; {'; '.join(states)} }}" for _, states in sorted(found.items()) if len(states) > 1]


def _node(saga: Saga, state: State) -> str:
    lines = [
        named(saga.titles.get(state.name, ""), state.name),
        *([str(state.call)] if state.call else []),
        *notes(state),
    ]
    if state.call and state.step and state.step.kind is Kind.PIVOT:
        lines.append(POINT_OF_NO_RETURN.upper())
    label = "\n".join(lines)
    return f"  {quoted(state.name)} [label={quoted(label)} {LOOKS[shape_of(saga, state)]}]"


def _edge(saga: Saga, transition: Transition) -> str:
    label = "\n".join(filter(None, (transition.trigger, condition_of(transition), str(transition.call or ""))))
    look, source = _WAYS[edge_kind(saga, transition)], saga.states[transition.source]
    if transition.source == transition.dest:
        port = "s" if source.phase is Phase.UNDOING else "w"  # the side that no other edge uses
        look += f" tailport={port} headport={port}"
    elif (
        transition.trigger is Trigger.SUCCEEDED
        and source.phase is Phase.FORWARD
        and source.step
        and source.step.refused
    ):
        look += " minlen=2"  # room for the stuck state below the failure
    return f"  {quoted(transition.source)} -> {quoted(transition.dest)} [label={quoted(label)} {look}]"


def quoted(words: str) -> str:
    escaped = words.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
