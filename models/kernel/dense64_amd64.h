// A tile of a dense layer in float64: y = max(x·W + b, floor) for four rows and
// two vectors of columns, and for one row and four. Products are rounded before
// they are added, and added in the order of the inputs, so the bits are those
// of plain Go. It knows registers V0 … V15, WIDTH, the bytes in a vector, and
// HALFWIDTH, the bytes that become a vector when they are made float64.

#define ADDPRODUCT(W, X, TEMPORARY, SUM) \
	VMULPD W, X, TEMPORARY     \
	VADDPD TEMPORARY, SUM, SUM

#define ROW(X, P, Q) \
	VBROADCASTSD X, V10          \
	ADDPRODUCT(V8, V10, V11, P)  \
	ADDPRODUCT(V9, V10, V12, Q)

#define FINISH(Y, P, Q) \
	VMAXPD  P, V10, P      \
	VMAXPD  Q, V10, Q      \
	VMOVUPS P, (Y)         \
	VMOVUPS Q, WIDTH(Y)

// Rows of x and y are ldx and ldy bytes apart, those of W ldw.
TEXT FOURROWS(SB), NOSPLIT, $0-72
	MOVQ in+0(FP), CX
	MOVQ x+8(FP), AX
	MOVQ ldx+16(FP), DX
	MOVQ w+24(FP), BX
	MOVQ ldw+32(FP), DI
	MOVQ b+40(FP), SI
	MOVQ y+48(FP), R8
	MOVQ ldy+56(FP), R9
	LEAQ (DX)(DX*2), R10
	VCVTPS2PD (SI), V0
	VCVTPS2PD HALFWIDTH(SI), V1
	VMOVAPS   V0, V2
	VMOVAPS   V1, V3
	VMOVAPS   V0, V4
	VMOVAPS   V1, V5
	VMOVAPS   V0, V6
	VMOVAPS   V1, V7
four:
	VCVTPS2PD (BX), V8
	VCVTPS2PD HALFWIDTH(BX), V9
	ROW((AX), V0, V1)
	ROW((AX)(DX*1), V2, V3)
	ROW((AX)(DX*2), V4, V5)
	ROW((AX)(R10*1), V6, V7)
	ADDQ $8, AX
	ADDQ DI, BX
	DECQ CX
	JNZ  four
	VBROADCASTSD floor+64(FP), V10
	FINISH(R8, V0, V1)
	ADDQ R9, R8
	FINISH(R8, V2, V3)
	ADDQ R9, R8
	FINISH(R8, V4, V5)
	ADDQ R9, R8
	FINISH(R8, V6, V7)
	VZEROUPPER
	RET

TEXT ONEROW(SB), NOSPLIT, $0-56
	MOVQ in+0(FP), CX
	MOVQ x+8(FP), AX
	MOVQ w+16(FP), BX
	MOVQ ldw+24(FP), DI
	MOVQ b+32(FP), SI
	MOVQ y+40(FP), R8
	VCVTPS2PD (SI), V0
	VCVTPS2PD HALFWIDTH(SI), V1
	VCVTPS2PD (2*HALFWIDTH)(SI), V2
	VCVTPS2PD (3*HALFWIDTH)(SI), V3
one:
	VCVTPS2PD (BX), V4
	VCVTPS2PD HALFWIDTH(BX), V5
	VCVTPS2PD (2*HALFWIDTH)(BX), V6
	VCVTPS2PD (3*HALFWIDTH)(BX), V7
	VBROADCASTSD (AX), V10
	ADDPRODUCT(V4, V10, V4, V0)
	ADDPRODUCT(V5, V10, V5, V1)
	ADDPRODUCT(V6, V10, V6, V2)
	ADDPRODUCT(V7, V10, V7, V3)
	ADDQ $8, AX
	ADDQ DI, BX
	DECQ CX
	JNZ  one
	VBROADCASTSD floor+48(FP), V10
	FINISH(R8, V0, V1)
	ADDQ $(2*WIDTH), R8
	FINISH(R8, V2, V3)
	VZEROUPPER
	RET
