/* SPDX-License-Identifier: MIT */
/*
 * A ring and the journal of its back end (blkbackd/blk_journal.h), with a back end that may be killed between
 * any two of its stores, also while it recovers: each request is answered once.
 * PLANT=1..4 leaves out one rule each; run.sh sees that spin finds each of them.
 */
#define SIZE 2		/* slots, and entries */
#ifndef REQUESTS
#define REQUESTS 4
#endif
#ifndef CRASHES
#define CRASHES 2
#endif
#ifndef PLANT
#define PLANT 0
#endif

#define FREE 0
#define BUSY 1
#define ANSWERED 2

/* the ring's page: requests and responses share the slots */
byte req_prod, rsp_prod;
byte slot[SIZE];

/* the journal */
byte j_cons;
byte e_state[SIZE], e_req[SIZE], e_rsp[SIZE], e_id[SIZE];

bool crash;
byte answers[REQUESTS];

/* the front end: an id for each request, a place only after the answer that was there is taken */
active proctype front()
{
	byte issued = 0, taken = 0, id;

	do
	:: issued < REQUESTS && issued - taken < SIZE ->
		slot[issued % SIZE] = issued;
		issued++;
		req_prod = issued
	:: taken < rsp_prod ->
		id = slot[taken % SIZE];
		assert(id < issued);
		answers[id]++;
		assert(answers[id] == 1);
		taken++
	:: taken == REQUESTS -> break
	od
}

active proctype killer()
{
	byte n = 0;

	do
	:: n < CRASHES -> n++; crash = true; !crash
	:: break
	od
}

#define OPEN(e) ((e_state[e] == BUSY && e_req[e] < j_cons) || \
		 (e_state[e] == ANSWERED && e_rsp[e] >= rsp_prod))

active proctype back()
{
	byte req_cons, pvt, i, n;

again:
	{
		/* recovery: what is open is to be done again, all else is free */
		i = 0;
		n = 0;
		do
		:: i < SIZE && OPEN(i) ->
			n++;
			i++
		:: i < SIZE && !OPEN(i) ->
			e_state[i] = FREE;
			i++
		:: i == SIZE -> break
		od;
		assert(n == j_cons - rsp_prod);
		i = 0;
		do
		:: i < SIZE && e_state[i] == ANSWERED ->
#if PLANT == 1
			e_state[i] = FREE;	/* "it was answered" */
#else
			e_state[i] = BUSY;
#endif
			i++
		:: i < SIZE && e_state[i] != ANSWERED -> i++
		:: i == SIZE -> break
		od;
		req_cons = j_cons;
		pvt = rsp_prod;

end:		do
		:: req_cons < req_prod && (e_state[0] == FREE || e_state[1] == FREE) ->
			if
			:: e_state[0] == FREE -> i = 0
			:: e_state[1] == FREE -> i = 1
			fi;
			e_id[i] = slot[req_cons % SIZE];
			e_req[i] = req_cons;
#if PLANT == 2
			j_cons = req_cons + 1;	/* before the entry is busy */
			e_state[i] = BUSY;
#else
			e_state[i] = BUSY;
			j_cons = req_cons + 1;
#endif
			req_cons++
		:: e_state[0] == BUSY || e_state[1] == BUSY ->
			/* in any order */
			if
			:: e_state[0] == BUSY -> i = 0
			:: e_state[1] == BUSY -> i = 1
			fi;
#if PLANT == 3
			e_state[i] = ANSWERED;	/* before it says which answer */
			e_rsp[i] = pvt;
#else
			e_rsp[i] = pvt;
			e_state[i] = ANSWERED;
#endif
			slot[pvt % SIZE] = e_id[i];
			pvt++;
#if PLANT == 4
			e_state[i] = FREE	/* before it is published */
#endif
		:: pvt != rsp_prod ->
			rsp_prod = pvt;
			i = 0;
			do
			:: i < SIZE && e_state[i] == ANSWERED ->
				e_state[i] = FREE;
				i++
			:: i < SIZE && e_state[i] != ANSWERED -> i++
			:: i == SIZE -> break
			od
		od
	} unless { crash };
	crash = false;
	goto again
}
