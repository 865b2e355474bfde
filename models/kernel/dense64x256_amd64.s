//go:build !purego

#include "textflag.h"

// Four numbers a vector: AVX2.

#define FOURROWS ·fourRows256
#define ONEROW ·oneRow256
#define V0 Y0
#define V1 Y1
#define V2 Y2
#define V3 Y3
#define V4 Y4
#define V5 Y5
#define V6 Y6
#define V7 Y7
#define V8 Y8
#define V9 Y9
#define V10 Y10
#define V11 Y11
#define V12 Y12
#define WIDTH 32
#define HALFWIDTH 16
#include "dense64_amd64.h"
