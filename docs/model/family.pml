/* A saga with a step that starts another saga: the parent, its child, engines that run both, and an operator.
 *
 * The calls of a saga are the subject of saga.pml. Here the child has one call and its compensation, and the parent has
 * one step. KIND says which kind the step of the parent has. A parent looks at its child again after a long time, also
 * when nothing has woken it; with OLD=1 a process of a release without child sagas ends a child and wakes nobody.
 */
#include "shared.h"
/* search two engines, a step with an undo, and an action: -DACTIONS=1 */
/* search two engines, a step that must complete, and two actions: -DACTIONS=2 -DKIND=RETRIABLE */
/* search two engines, a pivot, and two actions: -DACTIONS=2 -DKIND=PIVOT */
/* live two engines, a step with an undo, and an old process: -DACTIONS=1 -DFAULTS=1 -DOLD=1 */
/* live two engines, a step that must complete, and an old process: -DACTIONS=1 -DFAULTS=1 -DOLD=1 -DKIND=RETRIABLE */
#define COMPENSATABLE 0
#define RETRIABLE 1
#define PIVOT 2
#ifndef KIND
#define KIND COMPENSATABLE
#endif
#ifndef OLD
#define OLD 0
#endif

#ifndef INSERTED_TOGETHER /* breaks NOTHING_LEFT: the commit that enters the step also inserts the child */
#define INSERTED_TOGETHER 1
#endif
#ifndef ONLY_IF_NONE /* breaks ONE_CHILD: a child is inserted only when the step has none that may have an effect */
#define ONLY_IF_NONE 1
#endif
#ifndef CHILD_IS_UNDONE /* breaks NOTHING_LEFT: who gives up the step compensates its child, too */
#define CHILD_IS_UNDONE 1
#endif
#ifndef UNDO_WAITS /* breaks NOTHING_LEFT: the compensation of the step is done when the child is compensated */
#define UNDO_WAITS 1
#endif
#ifndef END_WAKES /* breaks WOKEN: the last commit of a child makes its parent due */
#define END_WAKES 1
#endif
#ifndef WOKEN_TOGETHER /* breaks WOKEN: the last commit of a child and the wake-up of its parent are one transaction */
#define WOKEN_TOGETHER 1
#endif
#ifndef RELEASE_COMPARES /* breaks WOKEN: the commit that releases a parent compares the number of ended children */
#define RELEASE_COMPARES 1
#endif
#ifndef BACK_WAKES /* breaks WOKEN: the commit that sends a child back makes the child due */
#define BACK_WAKES 1
#endif
#ifndef SENT_AGAIN /* breaks WOKEN: a child that a person has completed although it was to go back is sent back again */
#define SENT_AGAIN 1
#endif
#ifndef BACK_FENCES /* breaks NOTHING_FORWARD: that commit also fences the process that runs the child */
#define BACK_FENCES 1
#endif
#ifndef CHILD_OBEYS /* breaks ends: the process that claims a child which is to go back compensates it */
#define CHILD_OBEYS 1
#endif
#ifndef CALL_IN_DOUBT /* breaks NOTHING_LEFT: the call of a child that was sent back may have been sent */
#define CALL_IN_DOUBT 1
#endif
#ifndef COMPLETED_STAYS /* breaks DONE_TOGETHER: a person compensates a completed child only through its parent */
#define COMPLETED_STAYS 1
#endif
#ifndef NOT_PAST_CHILD /* breaks DONE_TOGETHER: a person does not resolve a parent whose child has not ended */
#define NOT_PAST_CHILD 1
#endif
#ifndef PARENT_FIRST /* breaks deadlock: a transaction locks the row of the parent before the row of the child */
#define PARENT_FIRST 1
#endif
#ifndef PARENT_LOOKS /* breaks ends: a parent looks at its child again, although nothing has woken it */
#define PARENT_LOOKS 1
#endif

/* States of both sagas. The parent waits in RUN for the end of its child, and in UNDO for its compensation. */
mtype = { NONE, RUN, UNDO, COMPLETED, COMPENSATED }

typedef Row {
    mtype state = RUN;
    mtype due = NOW;
    bool stuck, held, locked
}
Row parent, child;
bool unsure, called, goes_back; /* of the child: its call may have been sent, and its parent goes back */
byte ended;                     /* how many ends of children the parent has counted */
bool knows_parent[PROCESSES], knows_child[PROCESSES];

/* What a process has in memory of the saga that it runs. */
typedef Memory {
    bool is_child, old, doubt, dirty, keeps, is_stuck, retried, by_hand; /* `old`: a new child has replaced this one */
    mtype at = NONE;
    mtype next = NEVER;
    byte saw
}
Memory memory[PROCESSES];
#define my memory[me]
#define knows (my.is_child -> knows_child[me] : knows_parent[me])

/* The participant of the child, and a call to it that nobody waits for. */
mtype ledger = UNKNOWN;
bool lingers;

/* `missed`: an old process has ended a child. `forward`: an engine completed a child that was to go back. */
bool doubled, missed, by_hand, forward;

#define HAS_ENDED (child.state == COMPLETED || child.state == COMPENSATED)
#define ONE_CHILD (!doubled)
#define NOTHING_LEFT (parent.state != COMPENSATED || ((child.state == NONE || child.state == COMPENSATED) && ledger != MADE))
#define NOTHING_FORWARD (!forward)
#define DONE_TOGETHER (parent.state != COMPLETED || by_hand || child.state == COMPLETED)
/* A parent that nobody holds is due when what it waits for is there; a completed child that is to go back is due. */
#define WOKEN (missed || parent.stuck || parent.held || parent.due == NOW || \
    ((parent.state != RUN || !HAS_ENDED) && (parent.state != UNDO || child.state != COMPENSATED) && \
     (parent.state != UNDO || child.state != COMPLETED || child.held || child.due == NOW)))
inline safe() {
    assert(ONE_CHILD);
    assert(NOTHING_LEFT);
    assert(NOTHING_FORWARD);
    assert(DONE_TOGETHER);
    assert(WOKEN)
}

/* Every parent ends or is stuck, or its child is stuck. */
ltl ends { [] <> (parent.stuck || child.stuck || parent.state == COMPLETED || parent.state == COMPENSATED) }

inline forget(who) {
    memory[who].at = NONE; memory[who].next = NEVER; memory[who].saw = 0; memory[who].is_child = false;
    memory[who].old = false;
    memory[who].doubt = false; memory[who].dirty = false; memory[who].keeps = false; memory[who].is_stuck = false;
    memory[who].retried = false; memory[who].by_hand = false;
    knows_parent[who] = false; knows_child[who] = false
}

/* The row has changed: another process does not know it any more, and its next commit changes nothing. */
#define fence_parent() knows_parent[0] = (me == 0 && knows_parent[0]); knows_parent[1] = (me == 1 && knows_parent[1])
#define fence_child() knows_child[0] = (me == 0 && knows_child[0]); knows_child[1] = (me == 1 && knows_child[1])

/* A move of the saga in memory. */
inline move(dest) {
    my.at = dest; my.dirty = true; my.doubt = false; my.is_stuck = false
}

/* The parent gives up its step. */
inline give_up() {
    if
    :: KIND == COMPENSATABLE && CHILD_IS_UNDONE -> move(UNDO)
    :: else -> move(COMPENSATED)
    fi
}

/* The child goes back. */
inline go_back() {
    if
    :: my.at == RUN && my.doubt -> move(UNDO)
    :: my.at == RUN && !my.doubt -> move(COMPENSATED)
    :: my.at == COMPLETED -> move(UNDO)
    :: else -> skip
    fi
}

inline read_parent() {
    knows_parent[me] = true; my.is_child = false;
    my.at = parent.state; my.saw = ended; my.is_stuck = parent.stuck
}

inline read_child() {
    knows_child[me] = true; my.is_child = true;
    my.at = child.state; my.is_stuck = child.stuck;
    my.doubt = (unsure || (called && CALL_IN_DOUBT) || child.stuck)
}

/* The parent takes the end of its child, if the child has ended. */
inline take() {
    if
    :: my.at == RUN && child.state == COMPLETED && KIND == COMPENSATABLE -> move(UNDO) /* a later step is refused */
    :: my.at == RUN && child.state == COMPLETED -> move(COMPLETED)
    :: my.at == RUN && child.state == COMPLETED && KIND == RETRIABLE -> my.is_stuck = true; my.dirty = true /* a reply lacks */
    :: my.at == RUN && child.state == COMPENSATED && KIND == RETRIABLE -> my.is_stuck = true; my.dirty = true
    :: my.at == RUN && child.state == COMPENSATED && KIND != RETRIABLE -> move(COMPENSATED)
    :: my.at == UNDO && (child.state == COMPENSATED || child.state == NONE || !UNDO_WAITS) -> move(COMPENSATED)
    :: else -> skip
    fi
}

inline insert() {
    if
    :: child.state == NONE || (my.retried && child.state == COMPENSATED) || !ONLY_IF_NONE ->
        doubled = (doubled || (child.state != NONE && child.state != COMPENSATED));
        child.state = RUN; child.due = NOW; child.stuck = false; child.held = false;
        unsure = false; called = false; goes_back = false; ledger = UNKNOWN; lingers = false;
        knows_child[0] = false; knows_child[1] = false;
        memory[0].old = memory[0].is_child; memory[1].old = memory[1].is_child
    :: else -> skip
    fi
}

inline send_back() {
    if
    :: child.state != NONE && child.state != COMPENSATED && (!goes_back || (SENT_AGAIN && child.state == COMPLETED)) ->
        goes_back = true;
        if
        :: BACK_FENCES -> fence_child(); child.held = false
        :: else -> skip
        fi;
        child.due = (BACK_WAKES -> NOW : child.due)
    :: else -> skip
    fi
}

inline write_parent() {
    parent.state = my.at; parent.stuck = my.is_stuck; parent.held = my.keeps;
    parent.due = my.next; by_hand = (by_hand || my.by_hand);
    fence_parent();
    if
    :: !my.keeps && !my.is_stuck && (my.at == RUN || my.at == UNDO) && RELEASE_COMPARES && my.saw != ended -> parent.due = NOW
    :: else -> skip
    fi;
    if
    :: my.is_stuck -> skip
    :: !my.is_stuck && my.at == RUN && INSERTED_TOGETHER -> insert()
    :: !my.is_stuck && my.at == UNDO -> send_back()
    :: else -> skip
    fi
}

inline wake() {
    ended++;
    if
    :: (parent.state == RUN || parent.state == UNDO) && !parent.stuck && !parent.held -> parent.due = NOW
    :: else -> skip
    fi
}

inline write_child() {
    forward = (forward || (goes_back && CHILD_OBEYS && my.at == COMPLETED && !my.by_hand));
    child.state = my.at; child.stuck = my.is_stuck; child.held = my.keeps; child.due = my.next;
    unsure = (my.doubt || my.keeps); called = false;
    fence_child()
}

#define LAST (my.is_child && (my.at == COMPLETED || my.at == COMPENSATED) && !my.is_stuck)
#define BOTH (LAST || (!my.is_child && my.at == UNDO && !my.is_stuck))

proctype Engine(byte me) {
end_idle:
    if
    :: atomic { parent.due == NOW && !parent.locked ->
        parent.due = LATER; parent.held = true; read_parent(); fence_parent();
        if
        :: faults != 0 && (my.at == RUN || my.at == UNDO) && !my.is_stuck -> /* its processes have died again and again */
            fault(); my.is_stuck = true; my.dirty = true
        :: skip
        fi }
        goto decide
    :: atomic { child.state != NONE && child.due == NOW && !child.locked ->
        child.due = LATER; child.held = true; read_child(); fence_child(); called = true;
        if
        :: goes_back && CHILD_OBEYS && !(my.is_stuck && my.at == UNDO) -> go_back()
        :: else -> skip
        fi }
        goto decide
    :: atomic { actions > 0 -> /* the operator acts on the parent */
        actions--; read_parent();
        if
        :: !my.is_stuck && my.at == RUN && KIND == COMPENSATABLE ->
            if
            :: my.saw > 0 -> take()
            :: else -> skip
            fi;
            if
            :: my.at == RUN -> give_up()
            :: else -> skip
            fi
        :: !my.is_stuck && my.at == COMPLETED && KIND == COMPENSATABLE -> move(UNDO)
        :: my.is_stuck && my.at == RUN -> move(RUN); my.retried = true
        :: my.is_stuck && my.at == UNDO -> move(UNDO)
        :: my.is_stuck && my.at == RUN && KIND == COMPENSATABLE -> move(UNDO)
        :: my.is_stuck && my.at == RUN && KIND == PIVOT && (!NOT_PAST_CHILD || child.state == COMPENSATED) -> move(COMPENSATED)
        :: my.is_stuck && my.at == RUN && (!NOT_PAST_CHILD || HAS_ENDED) -> my.by_hand = HAS_ENDED; move(COMPLETED)
        :: my.is_stuck && my.at == UNDO && (!NOT_PAST_CHILD || child.state == COMPENSATED) -> move(COMPENSATED)
        :: else -> forget(me); goto end_idle
        fi }
        goto decide
    :: atomic { actions > 0 && child.state != NONE -> /* the operator acts on the child */
        actions--; read_child(); my.by_hand = true;
        if
        :: !my.is_stuck && my.at == RUN && KIND != PIVOT -> go_back()
        :: my.at == COMPLETED && KIND == COMPENSATABLE && !COMPLETED_STAYS -> move(UNDO)
        :: my.is_stuck && my.at == RUN -> move(RUN); my.doubt = true
        :: my.is_stuck && my.at == RUN -> move(UNDO)
        :: my.is_stuck && my.at == RUN && ledger == MADE -> move(COMPLETED)
        :: my.is_stuck && my.at == UNDO -> move(UNDO)
        :: my.is_stuck && my.at == UNDO && ledger == UNDONE -> move(COMPENSATED)
        :: else -> forget(me); goto end_idle
        fi }
        goto decide
    fi;

decide: /* what the engine does next */
    atomic {
        if
        :: !knows -> forget(me); goto end_idle
        :: else -> skip
        fi;
        my.keeps = false; my.next = NEVER;
        if
        :: my.is_stuck || my.at == COMPLETED || my.at == COMPENSATED -> goto lock
        :: !my.is_stuck && !my.is_child && my.at == RUN && (my.saw > 0 || !my.dirty) -> take()
        :: !my.is_stuck && !my.is_child && my.at == UNDO -> take()
        :: else -> skip
        fi;
        if
        :: !my.is_child && my.at == RUN && KIND == COMPENSATABLE && !my.is_stuck -> give_up() /* its deadline is over */
        :: !my.is_child && my.at == RUN && KIND == COMPENSATABLE && !my.is_stuck -> skip
        :: else -> skip
        fi;
        if
        :: my.is_stuck || my.at == COMPLETED || my.at == COMPENSATED -> goto lock
        :: !my.is_child && (my.at == RUN || my.at == UNDO) && !my.is_stuck ->
            my.next = (PARENT_LOOKS -> LATER : NEVER); goto lock
        :: my.is_child && my.dirty -> my.keeps = true; my.next = LATER; goto lock
        :: else -> skip
        fi };

send: /* the call of the child: it may arrive after this process was fenced */
    if
    :: atomic { my.old -> forget(me); goto end_idle } /* its call has another key */
    :: atomic { !my.old && my.at == RUN && ledger == UNKNOWN -> ledger = MADE; safe(); move(COMPLETED) }
    :: atomic { !my.old && my.at == RUN && ledger == UNKNOWN ->
        ledger = MADE; safe();
        if :: move(UNDO) :: my.is_stuck = true; my.dirty = true fi } /* without a reply until the last attempt */
    :: atomic { !my.old && my.at == RUN -> lingers = true; move(UNDO) }
    :: atomic { !my.old && my.at == RUN && ledger == MADE -> move(COMPLETED) }
    :: atomic { !my.old && my.at == RUN && ledger != MADE -> if :: my.doubt -> move(UNDO) :: else -> move(COMPENSATED) fi } /* refused */
    :: atomic { !my.old && my.at == UNDO -> ledger = UNDONE; move(COMPENSATED) }
    :: atomic { !my.old && my.at == UNDO -> my.is_stuck = true; my.dirty = true } /* refused */
    :: atomic { !my.old && faults != 0 -> fault(); lingers = (lingers || my.at == RUN); forget(me); goto end_idle } /* the process dies */
    fi;
    goto decide;

lock: /* a transaction of two rows locks one row after the other */
    if
    :: atomic { !knows -> forget(me); goto end_idle }
    :: atomic { knows && !BOTH -> skip }
    :: atomic { knows && BOTH && (PARENT_FIRST || !my.is_child) && !parent.locked -> parent.locked = true }
    :: atomic { knows && BOTH && !PARENT_FIRST && my.is_child && !child.locked -> child.locked = true }
    fi;

commit:
    if
    :: atomic { !BOTH && !my.is_child && !parent.locked ->
        if
        :: knows -> write_parent()
        :: else -> skip
        fi }
    :: atomic { !BOTH && my.is_child && !child.locked ->
        if
        :: knows -> write_child()
        :: else -> skip
        fi }
    :: atomic { BOTH && !my.is_child && !child.locked ->
        if
        :: knows -> write_parent()
        :: else -> skip
        fi;
        parent.locked = false }
    :: atomic { BOTH && my.is_child && (PARENT_FIRST -> !child.locked : !parent.locked) ->
        if
        :: knows && OLD && !missed -> write_child(); missed = true
        :: knows && !END_WAKES -> write_child()
        :: knows && END_WAKES && WOKEN_TOGETHER -> wake(); write_child()
        :: knows && END_WAKES && !WOKEN_TOGETHER -> write_child(); safe(); wake()
        :: else -> skip
        fi;
        parent.locked = (PARENT_FIRST -> false : parent.locked);
        child.locked = (PARENT_FIRST -> child.locked : false) }
    fi;
    if
    :: atomic { !INSERTED_TOGETHER && knows && !my.is_child && my.at == RUN && !my.is_stuck -> skip };
        atomic { insert(); safe() }
    :: else -> skip
    fi;
    atomic {
        safe();
        my.dirty = false;
        if
        :: knows && my.keeps -> goto send
        :: else -> forget(me); goto end_idle
        fi }
}

/* The database's clock: a lease or a wait ends. The lease of a process that lives ends early only as a fault. Where
 * faults are limited, the long wait of a parent also outlasts what an engine does with its child. */
#define parent_lives (knows_parent[0] || knows_parent[1])
#define child_lives (knows_child[0] || knows_child[1])
#define child_rests (faults < 0 || (!child_lives && child.due != NOW))
proctype ParentClock() {
end:
    do
    :: atomic { parent.due == LATER && (parent.held -> !parent_lives : child_rests) -> parent.due = NOW }
    :: atomic { parent.due == LATER && parent.held && parent_lives && faults != 0 -> fault(); parent.due = NOW }
    od
}

proctype ChildClock() {
end:
    do
    :: atomic { child.due == LATER && !(child.held && child_lives) -> child.due = NOW }
    :: atomic { child.due == LATER && child.held && child_lives && faults != 0 -> fault(); child.due = NOW }
    od
}

/* A late call arrives; the participant refuses it after the compensation. */
proctype Network() {
end:
    do
    :: atomic { lingers -> lingers = false; ledger = (ledger == UNKNOWN -> MADE : ledger); safe() }
    od
}

init {
    atomic {
        child.state = NONE; child.due = NEVER;
        run_engines();
        run ParentClock();
        run ChildClock();
        run Network()
    }
}
