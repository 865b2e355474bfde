//go:build !purego

#include "textflag.h"

// Tiles of a product of matrices, see tile_amd64.h, for two widths of vector
// register. Every function here is a leaf without a frame, called through the
// wrappers of ABI0, which expect no register to be kept.

#define ARGS \
	MOVQ k+0(FP), CX     \
	MOVQ a+8(FP), AX     \
	MOVQ rsa+16(FP), DX  \
	MOVQ csa+24(FP), SI  \
	MOVQ b+32(FP), BX    \
	MOVQ ldb+40(FP), DI  \
	MOVQ f+48(FP), R10   \
	MOVQ ldf+56(FP), R12 \
	MOVQ c+64(FP), R8    \
	MOVQ ldc+72(FP), R9

// The rows of a tile.
#define ROWS1(M) \
	M((AX), P0, Q0)

#define ROWS2(M) \
	ROWS1(M) \
	M((AX)(DX*1), P1, Q1)

#define ROWS4(M) \
	ROWS2(M)              \
	M((AX)(DX*2), P2, Q2) \
	M((R11), P3, Q3)

#define ROWS6(M) \
	ROWS4(M)               \
	M((R11)(DX*1), P4, Q4) \
	M((R11)(DX*2), P5, Q5)

#define ROWS12(M) \
	ROWS6(M)               \
	M((R10), P6, Q6)       \
	M((R10)(DX*1), P7, Q7) \
	M((R10)(DX*2), P8, Q8) \
	M((R12), P9, Q9)       \
	M((R12)(DX*1), P10, Q10) \
	M((R12)(DX*2), P11, Q11)

#define ADVANCE6 \
	ADDQ SI, AX \
	ADDQ SI, R11

#define ADVANCE12 \
	ADDQ SI, AX  \
	ADDQ SI, R11 \
	ADDQ SI, R10 \
	ADDQ SI, R12

// Eight ones and eight zeros: a window of eight has any number of lanes.
DATA lanes<>+0(SB)/8, $-1
DATA lanes<>+8(SB)/8, $-1
DATA lanes<>+16(SB)/8, $-1
DATA lanes<>+24(SB)/8, $-1
DATA lanes<>+32(SB)/8, $0
DATA lanes<>+40(SB)/8, $0
DATA lanes<>+48(SB)/8, $0
DATA lanes<>+56(SB)/8, $0
GLOBL lanes<>(SB), RODATA|NOPTR, $64

// Vectors of 256 bits: AVX2 and FMA. Six rows of two take 12 of 16 registers.
#define P0 Y0
#define Q0 Y1
#define P1 Y2
#define Q1 Y3
#define P2 Y4
#define Q2 Y5
#define P3 Y6
#define Q3 Y7
#define P4 Y8
#define Q4 Y9
#define P5 Y10
#define Q5 Y11
#define B0 Y12
#define B1 Y13
#define T Y14
#define WIDTH 32
#define MASK Y15
#define MLOAD(FROM, V) VMASKMOVPS FROM, MASK, V
#define MSTORE(V, TO) VMASKMOVPS V, MASK, TO

// func wide256x6(k int, a *float32, rsa, csa int, b *float32, ldb int, f *float32, ldf int, c *float32, ldc int, floor float32)
TEXT ·wide256x6(SB), NOSPLIT, $0-84
	ARGS
#define ROWS ROWS6
#define ADVANCE ADVANCE6
#include "tile_amd64.h"

// func wide256x4(k int, a *float32, rsa, csa int, b *float32, ldb int, f *float32, ldf int, c *float32, ldc int, floor float32)
TEXT ·wide256x4(SB), NOSPLIT, $0-84
	ARGS
#define ROWS ROWS4
#define ADVANCE ADVANCE6
#include "tile_amd64.h"

// func wide256x2(k int, a *float32, rsa, csa int, b *float32, ldb int, f *float32, ldf int, c *float32, ldc int, floor float32)
TEXT ·wide256x2(SB), NOSPLIT, $0-84
	ARGS
#define ROWS ROWS2
#define ADVANCE ADVANCE6
#include "tile_amd64.h"

// func wide256x1(k int, a *float32, rsa, csa int, b *float32, ldb int, f *float32, ldf int, c *float32, ldc int, floor float32)
TEXT ·wide256x1(SB), NOSPLIT, $0-84
	ARGS
#define ROWS ROWS1
#define ADVANCE ADVANCE6
#include "tile_amd64.h"

#define NARROW

// func narrow256x6(k int, a *float32, rsa, csa int, b *float32, ldb int, f *float32, ldf int, c *float32, ldc int, floor float32, lanes int)
TEXT ·narrow256x6(SB), NOSPLIT, $0-96
	ARGS
	MOVQ    lanes+88(FP), R11
	LEAQ    lanes<>+32(SB), R13
	SHLQ    $2, R11
	SUBQ    R11, R13
	VMOVDQU (R13), MASK
#define ROWS ROWS6
#define ADVANCE ADVANCE6
#include "tile_amd64.h"

// func narrow256x4(k int, a *float32, rsa, csa int, b *float32, ldb int, f *float32, ldf int, c *float32, ldc int, floor float32, lanes int)
TEXT ·narrow256x4(SB), NOSPLIT, $0-96
	ARGS
	MOVQ    lanes+88(FP), R11
	LEAQ    lanes<>+32(SB), R13
	SHLQ    $2, R11
	SUBQ    R11, R13
	VMOVDQU (R13), MASK
#define ROWS ROWS4
#define ADVANCE ADVANCE6
#include "tile_amd64.h"

// func narrow256x2(k int, a *float32, rsa, csa int, b *float32, ldb int, f *float32, ldf int, c *float32, ldc int, floor float32, lanes int)
TEXT ·narrow256x2(SB), NOSPLIT, $0-96
	ARGS
	MOVQ    lanes+88(FP), R11
	LEAQ    lanes<>+32(SB), R13
	SHLQ    $2, R11
	SUBQ    R11, R13
	VMOVDQU (R13), MASK
#define ROWS ROWS2
#define ADVANCE ADVANCE6
#include "tile_amd64.h"

// func narrow256x1(k int, a *float32, rsa, csa int, b *float32, ldb int, f *float32, ldf int, c *float32, ldc int, floor float32, lanes int)
TEXT ·narrow256x1(SB), NOSPLIT, $0-96
	ARGS
	MOVQ    lanes+88(FP), R11
	LEAQ    lanes<>+32(SB), R13
	SHLQ    $2, R11
	SUBQ    R11, R13
	VMOVDQU (R13), MASK
#define ROWS ROWS1
#define ADVANCE ADVANCE6
#include "tile_amd64.h"

#undef NARROW
#undef P0
#undef Q0
#undef P1
#undef Q1
#undef P2
#undef Q2
#undef P3
#undef Q3
#undef P4
#undef Q4
#undef P5
#undef Q5
#undef B0
#undef B1
#undef T
#undef WIDTH
#undef MASK
#undef MLOAD
#undef MSTORE

// Vectors of 512 bits: AVX-512F. Twelve rows of two take 24 of 32 registers.
#define P0 Z0
#define Q0 Z1
#define P1 Z2
#define Q1 Z3
#define P2 Z4
#define Q2 Z5
#define P3 Z6
#define Q3 Z7
#define P4 Z8
#define Q4 Z9
#define P5 Z10
#define Q5 Z11
#define P6 Z12
#define Q6 Z13
#define P7 Z14
#define Q7 Z15
#define P8 Z16
#define Q8 Z17
#define P9 Z18
#define Q9 Z19
#define P10 Z20
#define Q10 Z21
#define P11 Z22
#define Q11 Z23
#define B0 Z24
#define B1 Z25
#define T Z26
#define WIDTH 64
#define MLOAD(FROM, V) VMOVUPS.Z FROM, K1, V
#define MSTORE(V, TO) VMOVUPS V, K1, TO

// func wide512x12(k int, a *float32, rsa, csa int, b *float32, ldb int, f *float32, ldf int, c *float32, ldc int, floor float32)
TEXT ·wide512x12(SB), NOSPLIT, $0-84
	ARGS
#define ROWS ROWS12
#define ADVANCE ADVANCE12
#include "tile_amd64.h"

// func wide512x4(k int, a *float32, rsa, csa int, b *float32, ldb int, f *float32, ldf int, c *float32, ldc int, floor float32)
TEXT ·wide512x4(SB), NOSPLIT, $0-84
	ARGS
#define ROWS ROWS4
#define ADVANCE ADVANCE12
#include "tile_amd64.h"

// func wide512x1(k int, a *float32, rsa, csa int, b *float32, ldb int, f *float32, ldf int, c *float32, ldc int, floor float32)
TEXT ·wide512x1(SB), NOSPLIT, $0-84
	ARGS
#define ROWS ROWS1
#define ADVANCE ADVANCE12
#include "tile_amd64.h"

#define NARROW

// func narrow512x12(k int, a *float32, rsa, csa int, b *float32, ldb int, f *float32, ldf int, c *float32, ldc int, floor float32, lanes int)
TEXT ·narrow512x12(SB), NOSPLIT, $0-96
	ARGS
	MOVQ  lanes+88(FP), R11
	MOVQ  $-1, R13
	BZHIQ R11, R13, R13
	KMOVW R13, K1
#define ROWS ROWS12
#define ADVANCE ADVANCE12
#include "tile_amd64.h"

// func narrow512x4(k int, a *float32, rsa, csa int, b *float32, ldb int, f *float32, ldf int, c *float32, ldc int, floor float32, lanes int)
TEXT ·narrow512x4(SB), NOSPLIT, $0-96
	ARGS
	MOVQ  lanes+88(FP), R11
	MOVQ  $-1, R13
	BZHIQ R11, R13, R13
	KMOVW R13, K1
#define ROWS ROWS4
#define ADVANCE ADVANCE12
#include "tile_amd64.h"

// func narrow512x1(k int, a *float32, rsa, csa int, b *float32, ldb int, f *float32, ldf int, c *float32, ldc int, floor float32, lanes int)
TEXT ·narrow512x1(SB), NOSPLIT, $0-96
	ARGS
	MOVQ  lanes+88(FP), R11
	MOVQ  $-1, R13
	BZHIQ R11, R13, R13
	KMOVW R13, K1
#define ROWS ROWS1
#define ADVANCE ADVANCE12
#include "tile_amd64.h"

#undef NARROW
