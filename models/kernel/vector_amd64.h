// What is done to vectors element by element, one text for two register
// widths. n is a multiple of LANES. Besides the names of the functions and of
// the registers V0 … V15 it knows
//
//	LANES WIDTH  float32 numbers and bytes in a vector
//	AND ANDN OR  bitwise, for the width
//	HALFWIDTH    bytes that become a vector when they are made float64
//	LANEMASK(N)  makes N the number of lanes that MLOAD and MSTORE move; changes R9
//	HALVE        adds the upper half of Y0's vector to the lower, if it is wider than Y0

// y += a·x
TEXT AXPY(SB), NOSPLIT, $0-32
	MOVQ n+0(FP), CX
	VBROADCASTSS a+8(FP), V0
	MOVQ x+16(FP), SI
	MOVQ y+24(FP), DI
axpy:
	VMOVUPS     (DI), V1
	VFMADD231PS (SI), V0, V1
	VMOVUPS     V1, (DI)
	ADDQ        $WIDTH, SI
	ADDQ        $WIDTH, DI
	SUBQ        $LANES, CX
	JG          axpy
	VZEROUPPER
	RET

// g = scale·g + decay·w + pull·(w − s)
TEXT BLEND(SB), NOSPLIT, $0-48
	MOVQ n+0(FP), CX
	MOVQ grad+8(FP), DI
	MOVQ w+16(FP), SI
	MOVQ s+24(FP), BX
	VBROADCASTSS scale+32(FP), V0
	VBROADCASTSS decay+36(FP), V1
	VBROADCASTSS pull+40(FP), V2
blend:
	VMOVUPS     (SI), V3
	VSUBPS      (BX), V3, V4
	VMULPS      (DI), V0, V5
	VFMADD231PS V3, V1, V5
	VFMADD231PS V4, V2, V5
	VMOVUPS     V5, (DI)
	ADDQ        $WIDTH, SI
	ADDQ        $WIDTH, DI
	ADDQ        $WIDTH, BX
	SUBQ        $LANES, CX
	JG          blend
	VZEROUPPER
	RET

// dst += src, in float64
TEXT WIDEN(SB), NOSPLIT, $0-24
	MOVQ n+0(FP), CX
	MOVQ dst+8(FP), DI
	MOVQ src+16(FP), SI
widen:
	VCVTPS2PD (SI), V0
	VCVTPS2PD HALFWIDTH(SI), V1
	VADDPD    (DI), V0, V0
	VADDPD    WIDTH(DI), V1, V1
	VMOVUPS   V0, (DI)
	VMOVUPS   V1, WIDTH(DI)
	ADDQ      $WIDTH, SI
	ADDQ      $(2*WIDTH), DI
	SUBQ      $LANES, CX
	JG        widen
	VZEROUPPER
	RET

// dz = dy where y > 0, otherwise 0. y is never negative, so −y as an integer
// is negative where y is not zero.
TEXT RELUBACK(SB), NOSPLIT, $0-32
	MOVQ  n+0(FP), CX
	MOVQ  dz+8(FP), DI
	MOVQ  dy+16(FP), SI
	MOVQ  y+24(FP), BX
	VPXOR X0, X0, X0
reluback:
	VPSUBD  (BX), V0, V1
	VPSRAD  $31, V1, V1
	AND     (SI), V1, V1
	VMOVUPS V1, (DI)
	ADDQ    $WIDTH, BX
	ADDQ    $WIDTH, SI
	ADDQ    $WIDTH, DI
	SUBQ    $LANES, CX
	JG      reluback
	VZEROUPPER
	RET

// Kingma and Ba's update. c holds 1−β₁, 1−β₂, the rate and 1/(1−β₂^t), the
// rate divided by 1−β₁^t already, and ε.
TEXT ADAM(SB), NOSPLIT, $0-48
	MOVQ n+0(FP), CX
	MOVQ w+8(FP), DI
	MOVQ grad+16(FP), SI
	MOVQ m+24(FP), BX
	MOVQ v+32(FP), DX
	MOVQ c+40(FP), AX
	VBROADCASTSS (AX), V0
	VBROADCASTSS 4(AX), V1
	VBROADCASTSS 8(AX), V2
	VBROADCASTSS 12(AX), V3
	VBROADCASTSS 16(AX), V4
adam:
	VMOVUPS      (SI), V5       // g
	VMOVUPS      (BX), V6       // m
	VMOVUPS      (DX), V7       // v
	VSUBPS       V6, V5, V8
	VFMADD231PS  V8, V0, V6     // m += (1−β₁)(g−m)
	VFMSUB213PS  V7, V5, V5
	VFMADD231PS  V5, V1, V7     // v += (1−β₂)(g²−v)
	VMOVUPS      V6, (BX)
	VMOVUPS      V7, (DX)
	VMULPS       V3, V7, V7
	VSQRTPS      V7, V7
	VADDPS       V4, V7, V7
	VMULPS       V2, V6, V6
	VDIVPS       V7, V6, V6
	VMOVUPS      (DI), V8
	VSUBPS       V6, V8, V8
	VMOVUPS      V8, (DI)
	ADDQ         $WIDTH, SI
	ADDQ         $WIDTH, DI
	ADDQ         $WIDTH, BX
	ADDQ         $WIDTH, DX
	SUBQ         $LANES, CX
	JG           adam
	VZEROUPPER
	RET

// Cross-entropy with logits: d = σ(z) − y and loss = max(z, 0) − y·z + log(1 + e^−|z|).
// t holds the constants of entropyTable.
#define E(I) VBROADCASTSS (4*I)(AX)

TEXT ENTROPY(SB), NOSPLIT, $0-48
	MOVQ  n+0(FP), CX
	MOVQ  z+8(FP), SI
	MOVQ  y+16(FP), BX
	MOVQ  d+24(FP), DI
	MOVQ  loss+32(FP), DX
	MOVQ  t+40(FP), AX
	VPXOR X15, X15, X15
	E(0), V14 // 1
entropy:
	VMOVUPS (SI), V0

	// V3 = e^r·2^n = e^−|z| with n ≤ 0, |r| ≤ ½·log 2
	VPADDD       V0, V0, V1
	VPSRLD       $1, V1, V1 // |z|
	E(1), V2
	VMINPS       V1, V2, V1 // below, the exponent would not fit; keeps what is no number
	E(2), V2
	VMULPS       V1, V2, V2
	VCVTPS2DQ    V2, V4     // −n
	VCVTDQ2PS    V4, V2
	E(3), V5
	VFMSUB231PS  V2, V5, V1 // r = −n·log 2 − |z|, in two parts
	E(4), V5
	VFMADD231PS  V2, V5, V1
	E(5), V3
	E(6), V2
	VFMADD213PS  V2, V1, V3
	E(7), V2
	VFMADD213PS  V2, V1, V3
	E(8), V2
	VFMADD213PS  V2, V1, V3
	E(9), V2
	VFMADD213PS  V2, V1, V3
	E(10), V2
	VFMADD213PS  V2, V1, V3
	VFMADD213PS  V14, V1, V3
	VFMADD213PS  V14, V1, V3
	VPSLLD       $23, V4, V4
	VPSUBD       V4, V3, V3

	// V5 = σ(z) = (1 or e^z)/(1 + e^−|z|)
	VPSRAD  $31, V0, V4
	VADDPS  V14, V3, V5
	AND     V3, V4, V6
	ANDN    V14, V4, V7
	OR      V6, V7, V6
	VDIVPS  V5, V6, V6
	VMOVUPS (BX), V8
	VSUBPS  V8, V6, V6
	VMOVUPS V6, (DI)

	// log(1 + e) = 2·artanh(s), s = e/(2 + e) ≤ ⅓
	VADDPS       V14, V5, V5
	VDIVPS       V5, V3, V5
	VMULPS       V5, V5, V6
	E(11), V7
	E(12), V2
	VFMADD213PS  V2, V6, V7
	E(13), V2
	VFMADD213PS  V2, V6, V7
	E(14), V2
	VFMADD213PS  V2, V6, V7
	E(15), V2
	VFMADD213PS  V2, V6, V7
	E(16), V2
	VFMADD213PS  V2, V6, V7
	VFMADD213PS  V14, V6, V7
	VADDPS       V5, V5, V5
	VMULPS       V5, V7, V7
	VMAXPS       V0, V15, V1
	VFNMADD231PS V8, V0, V1
	VADDPS       V7, V1, V1
	VMOVUPS      V1, (DX)

	ADDQ $WIDTH, SI
	ADDQ $WIDTH, BX
	ADDQ $WIDTH, DI
	ADDQ $WIDTH, DX
	SUBQ $LANES, CX
	JG   entropy
	VZEROUPPER
	RET

#undef E

// y[i] = bias + Σ x[i,j]·w[j], where w moves on by ldw bytes from row to row. A
// row is k numbers, of which the last few are loaded with a mask.
TEXT DOTS(SB), NOSPLIT, $0-56
	MOVQ   rows+0(FP), CX
	MOVQ   k+8(FP), DX
	MOVQ   x+16(FP), SI
	MOVQ   w+24(FP), BX
	MOVQ   ldw+32(FP), R12
	MOVQ   y+40(FP), DI
	VMOVSS bias+48(FP), X3
	MOVQ   DX, R8
	ANDQ   $(LANES-1), R8
	LANEMASK(R8)
	SUBQ   R8, DX
row:
	VPXOR X0, X0, X0
	MOVQ  BX, R10
	MOVQ  DX, R11
	TESTQ R11, R11
	JZ    rest
dot:
	VMOVUPS     (SI), V1
	VFMADD231PS (R10), V1, V0
	ADDQ        $WIDTH, SI
	ADDQ        $WIDTH, R10
	SUBQ        $LANES, R11
	JG          dot
rest:
	TESTQ R8, R8
	JZ    sum
	MLOAD((SI), V1)
	MLOAD((R10), V2)
	VFMADD231PS V1, V2, V0
	LEAQ        (SI)(R8*4), SI
sum:
	HALVE
	VEXTRACTF128 $1, Y0, X1
	VADDPS       X1, X0, X0
	VHADDPS      X0, X0, X0
	VHADDPS      X0, X0, X0
	VADDSS       X3, X0, X0
	VMOVSS       X0, (DI)
	ADDQ         $4, DI
	ADDQ         R12, BX
	DECQ         CX
	JNZ          row
	VZEROUPPER
	RET

// dst[i] = src[rows[i]], rows of k numbers. Rows in an order drawn at random
// are not in a cache, and a processor sees too little ahead to fetch them in
// time: those of ahead are fetched now, which at the end of rows is rows itself.
TEXT GATHER(SB), NOSPLIT, $0-48
	MOVQ n+0(FP), CX
	MOVQ k+8(FP), DX
	MOVQ dst+16(FP), DI
	MOVQ src+24(FP), SI
	MOVQ rows+32(FP), BX
	MOVQ ahead+40(FP), R12
	MOVQ DX, R8
	ANDQ $(LANES-1), R8
	LANEMASK(R8)
	SUBQ R8, DX
	MOVQ k+8(FP), R13
	SHLQ $2, R13 // bytes in a row
gather:
	MOVLQSX (R12), AX
	IMULQ   R13, AX
	ADDQ    SI, AX
	LEAQ    (AX)(R13*1), R11
fetch:
	PREFETCHT0 (AX)
	ADDQ       $64, AX
	CMPQ       AX, R11
	JB         fetch
	MOVLQSX    (BX), AX
	IMULQ      R13, AX
	ADDQ       SI, AX
	MOVQ       DX, R11
	TESTQ      R11, R11
	JZ         few
copy:
	VMOVUPS (AX), V0
	VMOVUPS V0, (DI)
	ADDQ    $WIDTH, AX
	ADDQ    $WIDTH, DI
	SUBQ    $LANES, R11
	JG      copy
few:
	TESTQ R8, R8
	JZ    gathered
	MLOAD((AX), V0)
	MSTORE(V0, (DI))
	LEAQ (DI)(R8*4), DI
gathered:
	ADDQ $4, BX
	ADDQ $4, R12
	DECQ CX
	JNZ  gather
	VZEROUPPER
	RET
