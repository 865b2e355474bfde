//go:build !purego

#include "textflag.h"

// The key schedule of AES-256, FIPS 197 section 5.2, four words at a time. The
// S-box is that of AESKEYGENASSIST: no table, so no address depends on the key.

// PREFIX replaces the words (a, b, c, d) of K by (a, a⊕b, a⊕b⊕c, a⊕b⊕c⊕d) and
// xors WORD into each: every word is the one eight before it xored with the
// one to its left.
#define PREFIX(K, WORD) \
	VPSLLDQ $4, K, X3 \
	VPXOR   X3, K, K  \
	VPSLLDQ $8, K, X3 \
	VPXOR   X3, K, K  \
	VPXOR   WORD, K, K

// EVEN makes round key I of X0 and X1, the two before it: its WORD is
// RotWord(SubWord(last word of X1)) ⊕ RCON, which AESKEYGENASSIST leaves in the
// highest word.
#define EVEN(I, RCON) \
	VAESKEYGENASSIST $RCON, X1, X2 \
	VPSHUFD          $0xff, X2, X2 \
	PREFIX(X0, X2)                 \
	VMOVDQU          X0, (16*I)(DI)

// ODD makes round key I of X1 and X0, the two before it: its WORD is
// SubWord(last word of X0), neither turned nor with a constant, which is in
// the word below the highest.
#define ODD(I) \
	VAESKEYGENASSIST $0, X0, X2    \
	VPSHUFD          $0xaa, X2, X2 \
	PREFIX(X1, X2)                 \
	VMOVDQU          X1, (16*I)(DI)

// func expandKey(s *schedule, key *[32]byte)
TEXT ·expandKey(SB), NOSPLIT, $0-16
	MOVQ    s+0(FP), DI
	MOVQ    key+8(FP), SI
	VMOVDQU (SI), X0
	VMOVDQU 16(SI), X1
	VMOVDQU X0, (DI)
	VMOVDQU X1, 16(DI)
	EVEN(2, 0x01)
	ODD(3)
	EVEN(4, 0x02)
	ODD(5)
	EVEN(6, 0x04)
	ODD(7)
	EVEN(8, 0x08)
	ODD(9)
	EVEN(10, 0x10)
	ODD(11)
	EVEN(12, 0x20)
	ODD(13)
	EVEN(14, 0x40)
	VZEROALL // no key stays in a register
	RET

// func hasVAES() bool
TEXT ·hasVAES(SB), NOSPLIT, $0-1
	MOVL $7, AX
	XORL CX, CX
	CPUID
	SHRL $9, CX
	ANDL $1, CX
	MOVB CX, ret+0(FP)
	RET
