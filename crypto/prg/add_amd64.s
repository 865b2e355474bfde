//go:build !purego

#include "textflag.h"

// The masks of S16, expanded and added in one pass, for three widths of vector
// register. Every function here is a leaf without a frame, called through the
// wrappers of ABI0, which expect no register to be kept.

// Counter blocks are counted as two little-endian words, (0, number), by one
// 64-bit addition. This makes big-endian blocks of them: the upper half is
// always zero, so only the eight bytes of the lower half are turned around.
DATA bigEndian<>+0(SB)/8, $0x0706050403020100
DATA bigEndian<>+8(SB)/8, $0x08090a0b0c0d0e0f
GLOBL bigEndian<>(SB), RODATA|NOPTR, $16

// What the numbers of a vector's blocks, up to four, are above the first.
DATA ascending<>+0(SB)/8, $0
DATA ascending<>+8(SB)/8, $0
DATA ascending<>+16(SB)/8, $0
DATA ascending<>+24(SB)/8, $1
DATA ascending<>+32(SB)/8, $0
DATA ascending<>+40(SB)/8, $2
DATA ascending<>+48(SB)/8, $0
DATA ascending<>+56(SB)/8, $3
GLOBL ascending<>(SB), RODATA|NOPTR, $64

// One block a register: AES and AVX2.
#define S0 X0
#define S1 X1
#define S2 X2
#define S3 X3
#define S4 X4
#define S5 X5
#define S6 X6
#define S7 X7
#define NUMBER X8
#define SWAP X9
#define STEP X10
#define SIGN X11
#define FIRST X12
#define LAST X13
#define KEY X14
#define LOAD VMOVDQU
#define STORE VMOVDQU
#define XOR VPXOR
#define WIDTH 16
#define BLOCKS 1

// func addAES(dst *uint64, words int, key *schedule, block, sign uint64)
TEXT ·addAES(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ words+8(FP), CX
	MOVQ key+16(FP), SI
	MOVQ block+24(FP), R8
	MOVQ sign+32(FP), R9
#include "add_amd64.h"

// Two blocks a register: VAES and AVX2.
#define S0 Y0
#define S1 Y1
#define S2 Y2
#define S3 Y3
#define S4 Y4
#define S5 Y5
#define S6 Y6
#define S7 Y7
#define NUMBER Y8
#define SWAP Y9
#define STEP Y10
#define SIGN Y11
#define FIRST Y12
#define LAST Y13
#define KEY Y14
#define LOAD VBROADCASTI128
#define STORE VMOVDQU
#define XOR VPXOR
#define WIDTH 32
#define BLOCKS 2

// func addVAES(dst *uint64, words int, key *schedule, block, sign uint64)
TEXT ·addVAES(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ words+8(FP), CX
	MOVQ key+16(FP), SI
	MOVQ block+24(FP), R8
	MOVQ sign+32(FP), R9
#include "add_amd64.h"

// Four blocks a register: VAES, AVX512F and AVX512BW.
#define S0 Z0
#define S1 Z1
#define S2 Z2
#define S3 Z3
#define S4 Z4
#define S5 Z5
#define S6 Z6
#define S7 Z7
#define NUMBER Z8
#define SWAP Z9
#define STEP Z10
#define SIGN Z11
#define FIRST Z12
#define LAST Z13
#define KEY Z14
#define LOAD VBROADCASTI32X4
#define STORE VMOVDQU64
#define XOR VPXORQ
#define WIDTH 64
#define BLOCKS 4

// func addVAES512(dst *uint64, words int, key *schedule, block, sign uint64)
TEXT ·addVAES512(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ words+8(FP), CX
	MOVQ key+16(FP), SI
	MOVQ block+24(FP), R8
	MOVQ sign+32(FP), R9
#include "add_amd64.h"
