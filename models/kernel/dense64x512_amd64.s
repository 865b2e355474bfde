//go:build !purego

#include "textflag.h"

// Eight numbers a vector: AVX-512F.

#define FOURROWS ·fourRows512
#define ONEROW ·oneRow512
#define V0 Z0
#define V1 Z1
#define V2 Z2
#define V3 Z3
#define V4 Z4
#define V5 Z5
#define V6 Z6
#define V7 Z7
#define V8 Z8
#define V9 Z9
#define V10 Z10
#define V11 Z11
#define V12 Z12
#define WIDTH 64
#define HALFWIDTH 32
#include "dense64_amd64.h"
