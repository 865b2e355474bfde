// The body of an add function: eight vectors of counter blocks at a time,
// AES-256 over them, and the result added to dst. It is one text for three
// register widths, so that what holds for one holds for all. It finds dst in
// DI, words in CX, key in SI, block in R8 and sign in R9, changes AX as well,
// and knows the registers and instructions of its width by these names:
//
//	S0 … S7   registers 0–7: eight vectors of blocks; a round takes several
//	          cycles, and eight independent ones keep every AES unit busy
//	NUMBER    register 8: counter blocks as (0, number) in little-endian words
//	SWAP      the permutation that makes them big-endian (S16)
//	STEP      register 10: (0, blocks in a vector)
//	SIGN      register 11: all zeros to add, all ones to subtract
//	FIRST     round key 0
//	LAST      round key 14, xored with SIGN
//	KEY       the round key in use. Fifteen do not fit beside the rest; the
//	          loads cost nothing, as one serves eight vectors
//	LOAD      copies 16 bytes from memory to every block of a vector
//	STORE     writes a vector
//	XOR       bitwise exclusive or
//	WIDTH     bytes in a vector
//	BLOCKS    WIDTH / 16
//
// Only registers 0–15 are used: VZEROALL, which leaves no key behind in them,
// clears no others.

// COUNT makes the next blocks, with round key 0 already in.
#define COUNT(S) \
	VPSHUFB SWAP, NUMBER, S       \
	VPADDQ  STEP, NUMBER, NUMBER  \
	XOR     FIRST, S, S

#define ROUND(I) \
	LOAD    (16*I)(SI), KEY \
	VAESENC KEY, S0, S0     \
	VAESENC KEY, S1, S1     \
	VAESENC KEY, S2, S2     \
	VAESENC KEY, S3, S3     \
	VAESENC KEY, S4, S4     \
	VAESENC KEY, S5, S5     \
	VAESENC KEY, S6, S6     \
	VAESENC KEY, S7, S7

// FINISH adds one vector of the mask, k, to its place in dst. To subtract,
// −k = ¬k + 1: the last round key has flipped the bits already, and minus SIGN
// is plus one. When adding both do nothing, so there is no branch.
#define FINISH(S, I) \
	VAESENCLAST LAST, S, S              \
	VPSUBQ      SIGN, S, S              \
	VPADDQ      (WIDTH*I)(DI), S, S     \
	STORE       S, (WIDTH*I)(DI)

	LEAQ (DI)(CX*8), CX // the end of dst

	// Block j of the first vector has the number block + j.
	VMOVQ        R8, X8
	VPBROADCASTQ X8, NUMBER
	VPSLLDQ      $8, NUMBER, NUMBER
	VPADDQ       ascending<>(SB), NUMBER, NUMBER
	MOVQ         $BLOCKS, AX
	VMOVQ        AX, X10
	VPBROADCASTQ X10, STEP
	VPSLLDQ      $8, STEP, STEP
	LOAD         bigEndian<>(SB), SWAP
	VMOVQ        R9, X11
	VPBROADCASTQ X11, SIGN
	LOAD         (SI), FIRST
	LOAD         (16*14)(SI), LAST
	XOR          SIGN, LAST, LAST

	PCALIGN $32
next:
	COUNT(S0)
	COUNT(S1)
	COUNT(S2)
	COUNT(S3)
	COUNT(S4)
	COUNT(S5)
	COUNT(S6)
	COUNT(S7)
	ROUND(1)
	ROUND(2)
	ROUND(3)
	ROUND(4)
	ROUND(5)
	ROUND(6)
	ROUND(7)
	ROUND(8)
	ROUND(9)
	ROUND(10)
	ROUND(11)
	ROUND(12)
	ROUND(13)
	FINISH(S0, 0)
	FINISH(S1, 1)
	FINISH(S2, 2)
	FINISH(S3, 3)
	FINISH(S4, 4)
	FINISH(S5, 5)
	FINISH(S6, 6)
	FINISH(S7, 7)
	ADDQ $(8*WIDTH), DI
	CMPQ DI, CX
	JB   next
	VZEROALL
	RET

#undef COUNT
#undef ROUND
#undef FINISH
#undef S0
#undef S1
#undef S2
#undef S3
#undef S4
#undef S5
#undef S6
#undef S7
#undef NUMBER
#undef SWAP
#undef STEP
#undef SIGN
#undef FIRST
#undef LAST
#undef KEY
#undef LOAD
#undef STORE
#undef XOR
#undef WIDTH
#undef BLOCKS
