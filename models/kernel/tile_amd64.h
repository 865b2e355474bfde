// The body of a tile: C = max(F + A·B, floor) for as many rows as ROWS names
// and two vectors of columns, or with NARROW defined one vector of which only
// the first lanes exist. It is one text for all sizes and register widths, so
// that what holds for one holds for all. It finds
//
//	CX       k, the length of the sums
//	AX DX SI A: first element, bytes from row to row and along a row
//	BX DI    B: first element, bytes from row to row; along a row they are dense
//	R10 R12  F, the values the sums start from, and bytes from row to row
//	R8 R9    C and bytes from row to row
//
// and the floor at floor+80(FP), and knows by name
//
//	ROWS(M)   M(address of A's element, first and second sum of its row), for each row
//	ADVANCE   moves the addresses of A's elements along the rows
//	B0 B1 T   vectors for B's elements and one of A's
//	WIDTH     bytes in a vector
//	MLOAD MSTORE  move the lanes that exist; NARROW only
//
// Every sum is added up in the order of k by fused multiplications and
// additions, whatever the size of the tile around it.

#ifdef NARROW

#define START(A, P, Q) \
	MLOAD((R10), P) \
	ADDQ R12, R10

#define STEP(A, P, Q) \
	VBROADCASTSS A, T \
	VFMADD231PS  B0, T, P

#define FINISH(A, P, Q) \
	VMAXPS P, T, P  \
	MSTORE(P, (R8)) \
	ADDQ   R9, R8

#define LOADB MLOAD((BX), B0)

#else

#define START(A, P, Q) \
	VMOVUPS (R10), P      \
	VMOVUPS WIDTH(R10), Q \
	ADDQ    R12, R10

#define STEP(A, P, Q) \
	VBROADCASTSS A, T \
	VFMADD231PS  B0, T, P \
	VFMADD231PS  B1, T, Q

// A sum that is not a number stays one: VMAXPS returns its first operand then.
#define FINISH(A, P, Q) \
	VMAXPS  P, T, P       \
	VMAXPS  Q, T, Q       \
	VMOVUPS P, (R8)       \
	VMOVUPS Q, WIDTH(R8)  \
	ADDQ    R9, R8

#define LOADB \
	VMOVUPS (BX), B0 \
	VMOVUPS WIDTH(BX), B1

#endif

	ROWS(START)

	// Elements of A are addressed from every third row.
	LEAQ (DX)(DX*2), R13
	LEAQ (AX)(R13*1), R11
	LEAQ (R11)(R13*1), R10
	LEAQ (R10)(R13*1), R12

	SUBQ $2, CX
	JL   odd

	PCALIGN $32
pair:
	LOADB
	ADDQ DI, BX
	ROWS(STEP)
	ADVANCE
	LOADB
	ADDQ DI, BX
	ROWS(STEP)
	ADVANCE
	SUBQ $2, CX
	JGE  pair

odd:
	ADDQ $2, CX
	JZ   done
	LOADB
	ROWS(STEP)

done:
	VBROADCASTSS floor+80(FP), T
	ROWS(FINISH)
	VZEROUPPER
	RET

#undef START
#undef STEP
#undef FINISH
#undef LOADB
#undef ROWS
#undef ADVANCE
