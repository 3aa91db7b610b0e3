/* A saga that waits: for the answer to a call that was accepted, or for a signal.
 *
 * The engines send the call, and the participant accepts it (202). Its answer may come before the commit that enters the
 * wait, and it meets the end of the time, a person's cancel and the other engines. Two senders send different answers.
 * With SIGNAL=1 the saga waits for a signal, which can come at any time, and the call before the wait has no effect.
 */
#include "shared.h"
/* search two engines, an answer, and a cancel: -DACTIONS=1 */
/* search two engines, a signal, and a cancel: -DACTIONS=1 -DSIGNAL=1 */
/* search three engines and an answer: -DPROCESSES=3 */
/* live two engines, an answer, and a cancel: -DACTIONS=1 -DFAULTS=1 */
/* live two engines, a signal, and a cancel: -DACTIONS=1 -DFAULTS=1 -DSIGNAL=1 */
#ifndef SIGNAL
#define SIGNAL 0
#endif

#ifndef ROW_IS_LOCKED /* breaks KEPT: the row of the saga is locked from the question whether it waits to the write of the answer */
#define ROW_IS_LOCKED 1
#endif
#ifndef ARRIVAL_FENCES /* breaks KEPT: an answer to a waiting saga fences every write that was decided before it */
#define ARRIVAL_FENCES 1
#endif
#ifndef ARRIVAL_IS_FIRST /* breaks KEPT: an answer that has come is taken before the end of the time */
#define ARRIVAL_IS_FIRST 1
#endif
#ifndef CANCEL_LOOKS /* breaks KEPT: a request to cancel first takes the answer that has come */
#define CANCEL_LOOKS 1
#endif
#ifndef FIRST_COUNTS /* breaks KEPT: after the first answer another one is refused */
#define FIRST_COUNTS 1
#endif
#ifndef UNDONE_IS_GONE /* breaks KEPT: an answer is refused when the saga cannot wait for it any more */
#define UNDONE_IS_GONE 1
#endif
#ifndef ARRIVAL_WAKES /* breaks WOKEN: an answer makes a waiting saga due at once */
#define ARRIVAL_WAKES 1
#endif
#ifndef RELEASE_COMPARES /* breaks WOKEN: the commit that releases a waiting saga compares the number of answers */
#define RELEASE_COMPARES 1
#endif
#ifndef ROW_IS_READ_AGAIN /* breaks WOKEN: that commit reads the number in the row that it has waited for */
#define ROW_IS_READ_AGAIN 1
#endif
#ifndef ACCEPTED_MAY_WORK /* breaks NOTHING_LEFT: who gives up an accepted call compensates it, too */
#define ACCEPTED_MAY_WORK 1
#endif
#ifndef DOUBT_STAYS /* breaks NOTHING_LEFT: an accepted call that was in doubt before stays in doubt */
#define DOUBT_STAYS 1
#endif
#ifndef ACCEPTED_IS_NOT_DONE /* breaks NO_GUESS: an accepted call is not taken for done */
#define ACCEPTED_IS_NOT_DONE 1
#endif
#ifndef WAIT_ENDS /* breaks ends: the end of the wait is stored as the time when the saga is due */
#define WAIT_ENDS 1
#endif

#define MAX_ATTEMPTS 2

/* States of the saga: the call, the wait for its answer, the compensation, and the ends. */
mtype = { CALL, WAIT, UNDO, COMPLETED, COMPENSATED }
mtype = { ACCEPTED, DENIED }

/* The row of the saga, and the answer that is stored with it. `held`: a process has a lease. */
mtype state = CALL;
mtype due = NOW;
bool unsure, held;
byte claims, attempt;
mtype arrival = NOTHING;
byte arrived;
bool knows[PROCESSES];

/* What a process has in memory of the saga. `saw`: how many answers had come when it read the row. */
typedef Memory {
    mtype at = NOTHING;
    mtype next = NOTHING;
    mtype outcome = NOTHING;
    bool doubt, dirty, keeps, takes;
    byte tries, saw, snapshot
}
Memory memory[PROCESSES];
#define my memory[me]

/* The participant: what it keeps, and whether it got the call twice. The network: the call in flight of each process or
 * its reply, and whether a call is under way that nobody waits for. */
mtype ledger = UNKNOWN;
bool repeated, lingers;
mtype line[PROCESSES] = NOTHING;

/* The answers that were accepted. `early`: the saga did not wait yet. */
bool promised_yes, promised_no, early;
/* The answer that the saga has taken; `ignored`: a commit gave up the wait although an answer was there. */
mtype taken = NOTHING;
bool ignored;

/* The time of the wait, or the deadline of the saga, is over. */
bool over;

#define KEPT (!ignored && !(promised_yes && taken == NO) && !(promised_no && taken == YES) && \
    (!(promised_yes || promised_no) || taken != NOTHING || early || state == WAIT))
#define WOKEN (state != WAIT || held || arrived == 0 || due == NOW)
#define NOTHING_LEFT (state != COMPENSATED || ledger != MADE)
#define NO_GUESS (state != COMPLETED || SIGNAL || ledger == MADE)
inline safe() {
    assert(KEPT);
    assert(WOKEN);
    assert(NOTHING_LEFT);
    assert(NO_GUESS)
}

/* Every saga ends. */
ltl ends { [] <> (state == COMPLETED || state == COMPENSATED) }

/* The participant gets the call, and decides once whether it does what the call asks. The compensation comes first or
 * last: then it refuses the call. The call before a signal has no effect. */
inline take_call(reply) {
    if
    :: SIGNAL -> reply = ACCEPTED
    :: !SIGNAL && ledger == UNKNOWN -> ledger = MADE; reply = ACCEPTED
    :: !SIGNAL && ledger == UNKNOWN -> ledger = DENIED; reply = ACCEPTED
    :: !SIGNAL && ledger == UNKNOWN -> ledger = DENIED; reply = NO
    :: !SIGNAL && ledger == MADE -> repeated = true; reply = ACCEPTED
    :: !SIGNAL && ledger == MADE -> repeated = true; reply = YES
    :: !SIGNAL && ledger == DENIED -> reply = ACCEPTED
    :: !SIGNAL && ledger == UNDONE -> reply = NO
    fi;
    safe()
}

inline hang_up(who) {
    lingers = (lingers || line[who] == CALL);
    line[who] = NOTHING
}

inline forget(who) {
    memory[who].at = NOTHING; memory[who].next = NOTHING; memory[who].outcome = NOTHING; memory[who].tries = 0;
    memory[who].doubt = false; memory[who].dirty = false; memory[who].keeps = false; memory[who].takes = false;
    memory[who].saw = 0; memory[who].snapshot = 0;
    knows[who] = false
}

inline fence(who) {
    if
    :: who != me && knows[who] -> hang_up(who); forget(who)
    :: else -> skip
    fi
}

/* A move of the saga in memory. */
inline move(dest) {
    my.at = dest; my.doubt = false; my.tries = 0; my.dirty = true
}

/* The saga's move for the answer that has come. */
inline take_arrival() {
    if
    :: arrival == YES -> move(COMPLETED)
    :: arrival == NO && my.doubt -> move(UNDO)
    :: arrival == NO && !my.doubt -> move(COMPENSATED)
    fi;
    my.takes = true
}

inline give_up(including) {
    if
    :: (including) && !SIGNAL -> move(UNDO)
    :: else -> move(COMPENSATED)
    fi
}

inline write(me) {
    ignored = (ignored || (state == WAIT && arrived > 0 && my.at != WAIT && !my.takes));
    taken = ((my.takes && taken == NOTHING) -> arrival : taken);
    state = my.at; attempt = my.tries; held = my.keeps; claims = 0;
    unsure = (my.doubt || (my.keeps && (my.at == CALL || my.at == UNDO)));
    due = my.next;
    if
    :: state == WAIT && RELEASE_COMPARES && my.saw != (ROW_IS_READ_AGAIN -> arrived : my.snapshot) -> due = NOW
    :: else -> skip
    fi;
    fence_others();
    my.dirty = false; my.takes = false;
    safe()
}

proctype Engine(byte me) {
end_idle:
    if
    :: atomic { due == NOW ->
        due = LATER; held = true; knows[me] = true; fence_others();
        my.at = state; my.tries = attempt; my.saw = arrived;
        my.doubt = (unsure || (state != WAIT && claims > 0)); /* no call is sent while the saga waits */
        claims = 1;
        goto decide }
    :: atomic { actions > 0 && (state == CALL || state == WAIT) -> /* the operator reads the row, and cancels */
        actions--;
        knows[me] = true;
        my.at = state; my.saw = arrived; my.doubt = (unsure || (state != WAIT && claims > 0));
        if
        :: my.at == WAIT && my.saw > 0 && CANCEL_LOOKS -> take_arrival()
        :: else -> give_up(my.doubt || (my.at == WAIT && ACCEPTED_MAY_WORK))
        fi;
        goto decide }
    fi;

decide: /* what the engine does next */
    atomic {
        if
        :: !knows[me] -> goto end_idle
        :: knows[me] && my.at == WAIT && my.saw > 0 && ARRIVAL_IS_FIRST -> take_arrival()
        :: knows[me] && my.at == CALL && my.doubt && arrived > 0 && !SIGNAL -> take_arrival() /* its reply was lost */
        :: else ->
            if
            :: over && my.at == CALL -> give_up(my.doubt)
            :: over && my.at == WAIT -> give_up(my.doubt || ACCEPTED_MAY_WORK)
            :: else -> skip
            fi
        fi;
        if
        :: my.at == COMPLETED || my.at == COMPENSATED -> my.keeps = false; my.next = NEVER; goto pause
        :: my.at == WAIT -> my.keeps = false; my.next = (WAIT_ENDS -> LATER : NEVER); goto pause
        :: my.dirty && (my.at == CALL || my.at == UNDO) -> my.keeps = true; my.next = LATER; goto pause
        :: else -> skip
        fi;
send:   line[me] = my.at };

wait:
    if
    :: atomic { !knows[me] -> goto end_idle } /* fenced */
    :: atomic { knows[me] && line[me] != CALL && line[me] != UNDO ->
        my.outcome = line[me]; line[me] = NOTHING; goto conclude }
    :: atomic { knows[me] && line[me] == CALL -> hang_up(me); my.outcome = LOST; goto conclude }
    :: atomic { knows[me] && faults != 0 -> /* the process dies */
        fault(); hang_up(me); forget(me); goto end_idle }
    fi;

conclude:
    atomic {
        if
        :: !knows[me] -> goto end_idle
        :: else -> skip
        fi;
        if
        :: my.at == UNDO -> move(COMPENSATED)
        :: my.at == CALL && my.outcome == ACCEPTED && ACCEPTED_IS_NOT_DONE ->
            my.at = WAIT; my.dirty = true; my.tries = 0; my.doubt = (my.doubt && DOUBT_STAYS)
        :: my.at == CALL && (my.outcome == YES || (my.outcome == ACCEPTED && !ACCEPTED_IS_NOT_DONE)) -> move(COMPLETED)
        :: my.at == CALL && my.outcome == NO -> give_up(my.doubt)
        :: my.at == CALL && my.outcome == LOST && my.tries + 1 < MAX_ATTEMPTS -> /* released: the call is sent again later */
            my.tries++; my.doubt = true; my.outcome = NOTHING; my.keeps = false; my.next = LATER; goto pause
        :: my.at == CALL && my.outcome == LOST && my.tries + 1 >= MAX_ATTEMPTS -> give_up(true)
        fi;
        my.outcome = NOTHING;
        goto decide };

pause:
    atomic { /* the statement begins, and may wait for the row; here other processes may act */
        my.snapshot = (ROW_IS_READ_AGAIN -> 0 : arrived) };

commit:
    atomic {
        if
        :: !knows[me] -> goto end_idle
        :: else -> skip
        fi;
        write(me);
        if
        :: my.keeps -> goto send
        :: else -> forget(me); goto end_idle
        fi }
}

/* The participant takes the calls in flight, and the one that nobody waits for. A compensation always works. */
proctype Participant() {
    mtype ignore = NOTHING;
end:
    do
    :: atomic { line[0] == CALL -> take_call(line[0]) }
    :: atomic { line[0] == UNDO -> ledger = UNDONE; line[0] = YES }
#if PROCESSES > 1
    :: atomic { line[1] == CALL -> take_call(line[1]) }
    :: atomic { line[1] == UNDO -> ledger = UNDONE; line[1] = YES }
#endif
#if PROCESSES > 2
    :: atomic { line[2] == CALL -> take_call(line[2]) }
    :: atomic { line[2] == UNDO -> ledger = UNDONE; line[2] = YES }
#endif
    :: atomic { lingers -> take_call(ignore); ignore = NOTHING; lingers = false }
    od
}

/* The answer is stored and accepted. */
inline store(what) {
    arrival = what; arrived++;
    promised_yes = (promised_yes || what == YES);
    promised_no = (promised_no || what == NO);
    early = (was == CALL);
    if
    :: state == WAIT && ARRIVAL_FENCES -> fence_others(); held = false
    :: else -> skip
    fi;
    due = ((state == WAIT && ARRIVAL_WAKES) -> NOW : due);
    safe()
}

/* Sends one answer. The participant denies a call that it has done before when the call is repeated. */
proctype Sender(mtype what) {
    byte me = PROCESSES;
    mtype was = NOTHING;
end:
    if
    :: atomic { what == YES && (SIGNAL || ledger == MADE) -> was = CALL }
    :: atomic { what == NO && (SIGNAL || ledger == DENIED || repeated) -> was = CALL }
    fi;
    if
    :: goto sent /* the answer never comes */
    :: skip
    fi;
    atomic {
        was = state;
        if
        :: arrived > 0 && FIRST_COUNTS -> goto sent
        :: !(arrived > 0 && FIRST_COUNTS) && was != CALL && was != WAIT && UNDONE_IS_GONE -> goto sent
        :: else -> skip
        fi;
        if
        :: ROW_IS_LOCKED -> store(what); goto sent
        :: else -> skip
        fi };
    atomic { store(what) };
sent:
    skip
}

/* The database's clock: a lease, a wait before an attempt, or the wait of the saga ends. */
proctype Clock() {
end:
    do
    :: atomic { due == LATER && !held && (state != WAIT || over) -> due = NOW }
    :: atomic { due == LATER && held && !alive -> due = NOW }
    :: atomic { due == LATER && held && alive && faults != 0 -> fault(); due = NOW }
    od
}

proctype Deadline() {
    over = true
}

init {
    atomic {
        run_engines();
        run Participant();
        run Sender(YES);
        run Sender(NO);
        run Clock();
        run Deadline()
    }
}
