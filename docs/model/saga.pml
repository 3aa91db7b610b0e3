/* One saga, several engines, a participant that keeps the contract of the barrier, and an operator.
 *
 * The saga has two steps: `book`, which has an undo, and `pay`, the pivot, which has a probe. Time is not counted: a
 * lease, a wait or the deadline may end at any moment, also while a call is in flight. A message may arrive late,
 * twice or never. A process may die, and a commit may give no result.
 */
#include "shared.h"
/* search two engines, and an action of the operator: -DACTIONS=1 */
/* search three engines: -DPROCESSES=3 */
/* live one engine that dies and returns: -DPROCESSES=1 */
/* live two engines, an action of the operator, and a lease that ends early: -DACTIONS=1 -DFAULTS=1 */

#ifndef INTENT /* breaks NOTHING_LEFT: the call is sent only after its intent is committed */
#define INTENT 1
#endif
#ifndef EPOCH /* breaks NOTHING_FORWARD: a claim fences every write of the former owner */
#define EPOCH 1
#endif
#ifndef VERSION /* breaks NOTHING_FORWARD: a commit fences every write that was decided before it */
#define VERSION 1
#endif
#ifndef DOUBT_IS_STORED /* breaks NOTHING_FORWARD: the commit before a call stores that the call may have been sent */
#define DOUBT_IS_STORED 1
#endif
#ifndef CLAIM_IS_INTENT /* breaks NOTHING_LEFT: an earlier claim without a move counts as a call that may have been sent */
#define CLAIM_IS_INTENT 1
#endif
#ifndef FORGET /* breaks NO_GUESS: a process forgets the saga when the result of its commit is unknown */
#define FORGET 1
#endif
#ifndef SAME_KEY /* breaks ONE_EFFECT: every attempt of a call carries the same idempotency key */
#define SAME_KEY 1
#endif
#ifndef TOMBSTONE /* breaks NOTHING_LEFT: the participant refuses an action that comes after its undo */
#define TOMBSTONE 1
#endif
#ifndef INCLUDING /* breaks NOTHING_LEFT: a step in doubt is compensated, too */
#define INCLUDING 1
#endif
#ifndef PIVOT_REFUSED /* breaks NOTHING_FORWARD: a refusal of a pivot in doubt is not believed */
#define PIVOT_REFUSED 1
#endif
#ifndef PIVOT_EXHAUSTED /* breaks NOTHING_FORWARD: a pivot without an attempt left is stuck, and nothing is undone */
#define PIVOT_EXHAUSTED 1
#endif
#ifndef PIVOT_EXPIRES /* breaks NOTHING_FORWARD: the deadline does not call off a pivot in doubt */
#define PIVOT_EXPIRES 1
#endif
#ifndef PROBE_DENIES /* breaks NOTHING_FORWARD: a probe that finds nothing proves nothing */
#define PROBE_DENIES 1
#endif
#ifndef DOUBT_IS_NO_SUCCESS /* breaks NOTHING_LEFT: a call without a reply is not taken for done */
#define DOUBT_IS_NO_SUCCESS 1
#endif
#ifndef LEASE_ENDS /* breaks ends: a saga that a process holds is due again when the lease ends */
#define LEASE_ENDS 1
#endif
#ifndef ATTEMPTS_END /* breaks ends: the number of attempts has a limit */
#define ATTEMPTS_END 1
#endif
#ifndef DEADLINE /* breaks ends: after the deadline no step forward is tried any more */
#define DEADLINE 1
#endif
#ifndef PIVOT_OVERDUE /* breaks ends: after the deadline each try of a pivot in doubt counts as an attempt */
#define PIVOT_OVERDUE 1
#endif
#ifndef QUARANTINE /* breaks ends: a saga whose processes die again and again is stuck */
#define QUARANTINE 1
#endif

#ifndef MAX_ATTEMPTS
#define MAX_ATTEMPTS 2
#endif
#define MAX_CLAIMS 2

/* States of the saga. The first three are also the keys of the calls: `book` and its undo, and `pay`. */
mtype = { BOOK, UNBOOK, PAY, COMPLETED, COMPENSATED }

/* The row of the saga. */
mtype state = BOOK;
bool stuck;
mtype due = NOW;
bool unsure;
byte claims, attempt;
bool knows[PROCESSES];

/* What a process has in memory of the saga. */
typedef Memory {
    mtype at = NOTHING;
    mtype next = NOTHING;
    mtype outcome = NOTHING;
    bool is_stuck, doubt, dirty, keeps;
    byte tries
}
Memory memory[PROCESSES];
#define my memory[me]

/* The network: the call in flight of each process, or its reply; and the calls that nobody waits for any more. */
mtype line[PROCESSES] = NOTHING;
bool lingers_book, lingers_pay;

/* The participant: its ledger, and how often each effect stands. */
mtype book = UNKNOWN;
mtype pay = UNKNOWN;
byte booked, paid;

bool late;
/* Faults that nothing in the engine limits, so that the model must: an unknown commit. */
bool commit_failed;

#define ONE_EFFECT (booked <= 1 && paid <= 1)
#define NOTHING_LEFT (state != COMPENSATED || (booked == 0 && paid == 0))
#define NOTHING_FORWARD (state != UNBOOK || paid == 0)
#define NO_GUESS ((state != PAY || booked == 1) && (state != COMPLETED || (booked == 1 && paid == 1)))
inline safe() {
    assert(ONE_EFFECT);
    assert(NOTHING_LEFT);
    assert(NOTHING_FORWARD);
    assert(NO_GUESS)
}

/* Every saga ends or is stuck. */
ltl ends { [] <> (stuck || state == COMPLETED || state == COMPENSATED) }

/* The participant takes a call and answers it. It may refuse what it has done before: "already paid". */
inline take(key, answer) {
    if
    :: key == BOOK ->
        if
        :: SAME_KEY && book == MADE -> answer = YES
        :: SAME_KEY && book == MADE -> answer = NO
        :: TOMBSTONE && book == UNDONE -> answer = NO
        :: !(SAME_KEY && book == MADE) && !(TOMBSTONE && book == UNDONE) -> book = MADE; booked++; answer = YES
        :: !(SAME_KEY && book == MADE) -> answer = NO
        fi
    :: key == PAY ->
        if
        :: SAME_KEY && pay == MADE -> answer = YES
        :: pay == MADE -> answer = NO
        :: !(SAME_KEY && pay == MADE) -> pay = MADE; paid++; answer = YES
        :: pay != MADE -> answer = NO
        fi
    :: key == UNBOOK ->
        if
        :: booked = (book == MADE -> booked - 1 : booked); book = UNDONE; answer = YES
        :: answer = NO
        fi
    fi;
    safe()
}

/* The sender does not wait any more: its call may still arrive, or the reply is lost. */
inline hang_up(me) {
    if
    :: line[me] == BOOK -> lingers_book = true
    :: line[me] == PAY -> lingers_pay = true
    :: else -> skip
    fi;
    line[me] = NOTHING
}

inline forget(who) {
    memory[who].at = NOTHING; memory[who].next = NOTHING; memory[who].outcome = NOTHING; memory[who].tries = 0;
    memory[who].is_stuck = false; memory[who].doubt = false; memory[who].dirty = false; memory[who].keeps = false;
    knows[who] = false
}

/* The row has changed, so the other processes do not know it any more. What they would do now ends at their next commit.
 * So the model lets them forget the saga at once: the call in flight of such a process is a call that nobody waits for. */
inline fence(who) {
    if
    :: who != me && knows[who] -> hang_up(who); forget(who)
    :: else -> skip
    fi
}

/* A move of the saga in memory, to the state of another call. */
inline move(dest) {
    my.at = dest; my.doubt = false; my.tries = 0; my.dirty = true
}

/* The same call again, later. */
inline stay() {
    my.dirty = true
}

/* Write the row. `next`: when the saga is due; LATER with `keeps`: this process holds it. */
inline write(me) {
    unsure = (my.keeps -> (my.doubt || DOUBT_IS_STORED) : my.doubt);
    claims = 0;
    state = my.at; stuck = my.is_stuck; attempt = my.tries;
    due = ((my.keeps && !LEASE_ENDS) -> NEVER : my.next);
    if
    :: VERSION -> fence_others()
    :: else -> skip
    fi;
    safe()
}

/* Between two labels that other processes can interrupt, an engine takes one step: it claims and sends, hears and
 * decides, or commits and sends. A process that sleeps before it sends is a call that is long under way. */
proctype Engine(byte me) {
end_idle:
    if
    :: atomic { due == NOW ->
        due = (LEASE_ENDS -> LATER : NEVER);
        claims = (claims <= MAX_CLAIMS -> claims + 1 : claims);
        knows[me] = true;
        if
        :: EPOCH -> fence_others()
        :: else -> skip
        fi;
        my.at = state; my.tries = attempt;
        my.doubt = (unsure || (CLAIM_IS_INTENT && claims > 1));
        if
        :: QUARANTINE && claims > MAX_CLAIMS -> my.is_stuck = true; my.doubt = false; my.dirty = true
        :: else -> skip
        fi;
        goto decide }
    :: atomic { actions > 0 && (stuck || state == BOOK) -> /* the operator reads the row and decides */
        actions--;
        knows[me] = true;
        my.at = state; my.doubt = (unsure || (CLAIM_IS_INTENT && claims > 0));
        if
        :: !stuck && my.doubt && INCLUDING -> move(UNBOOK) /* cancel */
        :: !stuck && !(my.doubt && INCLUDING) -> move(COMPENSATED)
        :: stuck -> move(state); my.doubt = true /* retry */
        :: stuck && state == BOOK -> move(UNBOOK) /* compensate */
        :: stuck && state == BOOK && booked == 1 -> move(PAY) /* resolve: it was done */
        :: stuck && state == PAY && paid == 1 -> move(COMPLETED)
        /* A person compensates a pivot only after he has made sure that it did not happen and will not happen. */
        :: stuck && state == PAY && paid == 0 && !lingers_pay && line[0] != PAY && line[PROCESSES - 1] != PAY ->
            move(UNBOOK)
        :: stuck && state == UNBOOK && book == UNDONE -> move(COMPENSATED)
        fi;
        goto decide }
    fi;

decide: /* what the engine does next */
    atomic {
        if
        :: my.is_stuck || my.at == COMPLETED || my.at == COMPENSATED -> my.keeps = false; my.next = NEVER; goto pause
        :: DEADLINE && late && my.at == BOOK && my.doubt && INCLUDING && !my.is_stuck -> move(UNBOOK)
        :: DEADLINE && late && my.at == BOOK && !(my.doubt && INCLUDING) && !my.is_stuck ->
            move(COMPENSATED); my.keeps = false; my.next = NEVER; goto pause
        :: DEADLINE && late && my.at == PAY && !(PIVOT_EXPIRES && my.doubt) && !my.is_stuck -> move(UNBOOK)
        :: else -> skip
        fi;
        if
        :: my.dirty && INTENT -> my.keeps = true; my.next = LATER; goto pause
        :: else -> skip
        fi;

send:   if
        :: my.at == PAY && my.doubt -> /* the probe comes first */
            if
            :: pay == MADE -> my.outcome = YES; goto conclude
            :: pay != MADE && my.tries >= MAX_ATTEMPTS && PROBE_DENIES -> my.outcome = LOST; goto conclude
            :: pay != MADE && my.tries >= MAX_ATTEMPTS && !PROBE_DENIES -> my.outcome = NO; my.doubt = false; goto conclude
            :: my.tries >= MAX_ATTEMPTS -> my.outcome = LOST; goto conclude
            :: my.tries < MAX_ATTEMPTS
            fi
        :: else -> skip
        fi;
        if
        :: line[me] = my.at; goto wait
        :: my.at != UNBOOK -> my.outcome = UNSENT; goto conclude
        fi };

wait:
    if
    :: atomic { !knows[me] -> goto end_idle } /* fenced */
    :: atomic { knows[me] && (line[me] == YES || line[me] == NO) ->
        my.outcome = line[me]; line[me] = NOTHING; goto conclude }
    :: atomic { knows[me] -> hang_up(me); my.outcome = LOST; goto conclude }
    :: atomic { knows[me] -> hang_up(me); my.outcome = ASKED; goto conclude } /* 503 with Retry-After */
    :: atomic { knows[me] -> hang_up(me); forget(me); goto end_idle } /* the process dies */
    fi;

conclude:
    atomic {
        if
        :: !knows[me] -> goto end_idle
        :: knows[me] && my.outcome == NO && my.at == PAY && my.doubt && PIVOT_REFUSED -> /* probed once more, never believed */
            if
            :: pay == MADE -> my.outcome = YES
            :: my.outcome = LOST
            :: pay != MADE -> my.is_stuck = true; my.dirty = true; my.outcome = NOTHING; goto decide
            fi
        :: else -> skip
        fi;
        if
        :: my.outcome == YES || (my.outcome == LOST && !DOUBT_IS_NO_SUCCESS) ->
            if
            :: my.at == BOOK -> move(PAY)
            :: my.at == PAY -> move(COMPLETED)
            :: my.at == UNBOOK -> move(COMPENSATED)
            fi
        :: my.outcome == NO ->
            if
            :: my.at == BOOK && my.doubt && INCLUDING -> move(UNBOOK)
            :: my.at == BOOK && !(my.doubt && INCLUDING) -> move(COMPENSATED)
            :: my.at == PAY -> move(UNBOOK)
            :: my.at == UNBOOK -> move(UNBOOK); my.is_stuck = true
            fi
        :: my.outcome == UNSENT && !(PIVOT_OVERDUE && late && my.at == PAY && my.doubt) -> stay(); goto defer
        :: my.outcome == ASKED && !(late && DEADLINE) -> stay(); my.doubt = true; goto defer
        :: else -> /* in doubt, and it counts as an attempt; the last round of a pivot is only a probe */
            if
            :: my.tries + 1 < MAX_ATTEMPTS + (my.at == PAY -> 1 : 0) || !ATTEMPTS_END ->
                my.tries = (my.tries <= MAX_ATTEMPTS -> my.tries + 1 : my.tries);
                my.doubt = true; stay(); goto defer
            :: else ->
                if
                :: my.at == BOOK && INCLUDING -> move(UNBOOK)
                :: my.at == BOOK && !INCLUDING -> move(COMPENSATED)
                :: my.at == PAY && !PIVOT_EXHAUSTED -> move(UNBOOK)
                :: my.at == PAY && PIVOT_EXHAUSTED -> move(PAY); my.is_stuck = true
                :: my.at == UNBOOK -> move(UNBOOK); my.is_stuck = true
                fi
            fi
        fi;
        my.outcome = NOTHING;
        goto decide;

defer:  /* released: any process continues after the wait */
        my.keeps = false; my.next = LATER; my.outcome = NOTHING; goto pause };

pause:
    skip; /* here other processes may act */

commit:
    atomic {
        if
        :: !knows[me] -> goto end_idle
        :: else -> skip
        fi;
        if
        :: write(me)
        :: !commit_failed -> commit_failed = true; write(me); if :: FORGET -> forget(me); goto end_idle :: else -> skip fi
        :: !commit_failed -> commit_failed = true; if :: FORGET -> forget(me); goto end_idle :: else -> skip fi
        fi;
        my.dirty = false;
        if
        :: my.keeps -> goto send
        :: else -> forget(me); goto end_idle
        fi }
}

/* Takes the calls in flight, and those that nobody waits for. */
proctype Participant() {
    mtype ignored = NOTHING;
end:
    do
    :: atomic { line[0] == BOOK || line[0] == UNBOOK || line[0] == PAY -> take(line[0], ignored);
        line[0] = ignored; ignored = NOTHING }
#if PROCESSES > 1
    :: atomic { line[1] == BOOK || line[1] == UNBOOK || line[1] == PAY -> take(line[1], ignored);
        line[1] = ignored; ignored = NOTHING }
#endif
#if PROCESSES > 2
    :: atomic { line[2] == BOOK || line[2] == UNBOOK || line[2] == PAY -> take(line[2], ignored);
        line[2] = ignored; ignored = NOTHING }
#endif
    :: atomic { lingers_book -> take(BOOK, ignored); ignored = NOTHING; if :: lingers_book = false :: skip fi }
    :: atomic { lingers_pay -> take(PAY, ignored); ignored = NOTHING; if :: lingers_pay = false :: skip fi }
    od
}

/* The database's clock: a lease or a wait ends. */
proctype Clock() {
end:
    do
    :: atomic { due == LATER && !alive -> due = NOW }
    :: atomic { due == LATER && alive && faults != 0 -> fault(); due = NOW }
    od
}

proctype Deadline() {
    late = true
}

init {
    atomic {
        run_engines();
        run Participant();
        run Clock();
        run Deadline()
    }
}
