// Vector instructions that Go's assembler has no name for. The macros are named after the instructions and take register
// numbers in ARM's order: destination, first operand, second operand. What stands behind // is what an ARM assembler makes
// of each: TestInstructionWords holds it against one.

// Products of bytes
#define SMULL(d, n, m)       WORD $(0x0E20C000 | (m)<<16 | (n)<<5 | (d)) // smull v{d}.8h, v{n}.8b, v{m}.8b
#define SMLAL(d, n, m)       WORD $(0x0E208000 | (m)<<16 | (n)<<5 | (d)) // smlal v{d}.8h, v{n}.8b, v{m}.8b
#define SMULL2(d, n, m)      WORD $(0x4E20C000 | (m)<<16 | (n)<<5 | (d)) // smull2 v{d}.8h, v{n}.16b, v{m}.16b
#define SMLAL2(d, n, m)      WORD $(0x4E208000 | (m)<<16 | (n)<<5 | (d)) // smlal2 v{d}.8h, v{n}.16b, v{m}.16b
#define SADDLP(d, n)         WORD $(0x4E602800 | (n)<<5 | (d))           // saddlp v{d}.4s, v{n}.8h
#define SADALP(d, n)         WORD $(0x4E606800 | (n)<<5 | (d))           // sadalp v{d}.4s, v{n}.8h
#define SDOT(d, n, m)        WORD $(0x4E809400 | (m)<<16 | (n)<<5 | (d)) // sdot v{d}.4s, v{n}.16b, v{m}.16b
#define SDOTI(d, n, m, i)    WORD $(0x4F80E000 | ((i)&1)<<21 | ((i)>>1)<<11 | (m)<<16 | (n)<<5 | (d)) // sdot v{d}.4s, v{n}.16b, v{m}.4b[{i}]
#define SMMLA(d, n, m)       WORD $(0x4E80A400 | (m)<<16 | (n)<<5 | (d)) // smmla v{d}.4s, v{n}.16b, v{m}.16b

// Products of halves of floats
#define BFMMLA(d, n, m)      WORD $(0x6E40EC00 | (m)<<16 | (n)<<5 | (d)) // bfmmla v{d}.4s, v{n}.8h, v{m}.8h

// Integers
#define MULB(d, n, m)        WORD $(0x4E209C00 | (m)<<16 | (n)<<5 | (d)) // mul v{d}.16b, v{n}.16b, v{m}.16b
#define CMHI(d, n, m)        WORD $(0x6E203400 | (m)<<16 | (n)<<5 | (d)) // cmhi v{d}.16b, v{n}.16b, v{m}.16b
#define USHL(d, n, m)        WORD $(0x6E204400 | (m)<<16 | (n)<<5 | (d)) // ushl v{d}.16b, v{n}.16b, v{m}.16b
#define SXTL(d, n)           WORD $(0x0F08A400 | (n)<<5 | (d))           // sshll v{d}.8h, v{n}.8b, #0
#define SXTL2(d, n)          WORD $(0x4F08A400 | (n)<<5 | (d))           // sshll2 v{d}.8h, v{n}.16b, #0
#define SXTL4(d, n)          WORD $(0x0F10A400 | (n)<<5 | (d))           // sshll v{d}.4s, v{n}.4h, #0
#define SXTL42(d, n)         WORD $(0x4F10A400 | (n)<<5 | (d))           // sshll2 v{d}.4s, v{n}.8h, #0
#define SSHL(d, n, m)        WORD $(0x4E204400 | (m)<<16 | (n)<<5 | (d)) // sshl v{d}.16b, v{n}.16b, v{m}.16b
#define NEG(d, n)            WORD $(0x6EA0B800 | (n)<<5 | (d))           // neg v{d}.4s, v{n}.4s
#define SSHR1(d, n)          WORD $(0x4F3F0400 | (n)<<5 | (d))           // sshr v{d}.4s, v{n}.4s, #1

// Conversions
#define SCVTF(d, n)          WORD $(0x4E21D800 | (n)<<5 | (d))           // scvtf v{d}.4s, v{n}.4s
#define SCVTF4(d, n)         WORD $(0x4F3CE400 | (n)<<5 | (d))           // scvtf v{d}.4s, v{n}.4s, #4
#define SCVTF24(d, n)        WORD $(0x4F28E400 | (n)<<5 | (d))           // scvtf v{d}.4s, v{n}.4s, #24
#define FCVTAS(d, n)         WORD $(0x4E21C800 | (n)<<5 | (d))           // fcvtas v{d}.4s, v{n}.4s
#define FCVTZS(d, n)         WORD $(0x4EA1B800 | (n)<<5 | (d))           // fcvtzs v{d}.4s, v{n}.4s
#define FCVTNS(d, n)         WORD $(0x4E21A800 | (n)<<5 | (d))           // fcvtns v{d}.4s, v{n}.4s
#define FCVTL(d, n)          WORD $(0x0E217800 | (n)<<5 | (d))           // fcvtl v{d}.4s, v{n}.4h
#define FCVTL2(d, n)         WORD $(0x4E217800 | (n)<<5 | (d))           // fcvtl2 v{d}.4s, v{n}.8h
#define FCVTN(d, n)          WORD $(0x0E216800 | (n)<<5 | (d))           // fcvtn v{d}.4h, v{n}.4s
#define FCVTN2(d, n)         WORD $(0x4E216800 | (n)<<5 | (d))           // fcvtn2 v{d}.8h, v{n}.4s
#define BFCVTN(d, n)         WORD $(0x0EA16800 | (n)<<5 | (d))           // bfcvtn v{d}.4h, v{n}.4s
#define BFCVTN2(d, n)        WORD $(0x4EA16800 | (n)<<5 | (d))           // bfcvtn2 v{d}.8h, v{n}.4s
#define FRINTN(d, n)         WORD $(0x4E218800 | (n)<<5 | (d))           // frintn v{d}.4s, v{n}.4s

// Floats
#define FADD(d, n, m)        WORD $(0x4E20D400 | (m)<<16 | (n)<<5 | (d)) // fadd v{d}.4s, v{n}.4s, v{m}.4s
#define FSUB(d, n, m)        WORD $(0x4EA0D400 | (m)<<16 | (n)<<5 | (d)) // fsub v{d}.4s, v{n}.4s, v{m}.4s
#define FMUL(d, n, m)        WORD $(0x6E20DC00 | (m)<<16 | (n)<<5 | (d)) // fmul v{d}.4s, v{n}.4s, v{m}.4s
#define FMULI(d, n, m, i)    WORD $(0x4F809000 | ((i)&1)<<21 | ((i)>>1)<<11 | (m)<<16 | (n)<<5 | (d)) // fmul v{d}.4s, v{n}.4s, v{m}.s[{i}]
#define FMLAI(d, n, m, i)    WORD $(0x4F801000 | ((i)&1)<<21 | ((i)>>1)<<11 | (m)<<16 | (n)<<5 | (d)) // fmla v{d}.4s, v{n}.4s, v{m}.s[{i}]
#define FDIV(d, n, m)        WORD $(0x6E20FC00 | (m)<<16 | (n)<<5 | (d)) // fdiv v{d}.4s, v{n}.4s, v{m}.4s
#define FMAX(d, n, m)        WORD $(0x4E20F400 | (m)<<16 | (n)<<5 | (d)) // fmax v{d}.4s, v{n}.4s, v{m}.4s
#define FMIN(d, n, m)        WORD $(0x4EA0F400 | (m)<<16 | (n)<<5 | (d)) // fmin v{d}.4s, v{n}.4s, v{m}.4s
#define FABS(d, n)           WORD $(0x4EA0F800 | (n)<<5 | (d))           // fabs v{d}.4s, v{n}.4s
#define FNEG(d, n)           WORD $(0x6EA0F800 | (n)<<5 | (d))           // fneg v{d}.4s, v{n}.4s
#define FADDP(d, n, m)       WORD $(0x6E20D400 | (m)<<16 | (n)<<5 | (d)) // faddp v{d}.4s, v{n}.4s, v{m}.4s
#define FADDP2(d, n)         WORD $(0x7E30D800 | (n)<<5 | (d))           // faddp s{d}, v{n}.2s
#define FMINV(d, n)          WORD $(0x6EB0F800 | (n)<<5 | (d))           // fminv s{d}, v{n}.4s
#define FMAXV(d, n)          WORD $(0x6E30F800 | (n)<<5 | (d))           // fmaxv s{d}, v{n}.4s
