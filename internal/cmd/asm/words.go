package main

import (
	"fmt"
	"regexp"
	"strings"
)

// instruction is one that Go's assembler has no name for: the word with all registers 0, and how an ARM assembler writes it, with the
// operands in braces, the destination d, the first operand n, the second m and, where that is a lane, its number i.
type instruction struct {
	name string
	word uint32
	text string
}

// words are those of arm64, by what they do.
var words = []struct {
	Title        string
	Instructions []instruction
}{
	{"Products of bytes", []instruction{
		{"SMULL", 0x0E20C000, "smull v{d}.8h, v{n}.8b, v{m}.8b"},
		{"SMLAL", 0x0E208000, "smlal v{d}.8h, v{n}.8b, v{m}.8b"},
		{"SMLAL2", 0x4E208000, "smlal2 v{d}.8h, v{n}.16b, v{m}.16b"},
		{"SADDLP", 0x4E602800, "saddlp v{d}.4s, v{n}.8h"},
		{"SADALP", 0x4E606800, "sadalp v{d}.4s, v{n}.8h"},
		{"SDOT", 0x4E809400, "sdot v{d}.4s, v{n}.16b, v{m}.16b"},
		{"SDOTI", 0x4F80E000, "sdot v{d}.4s, v{n}.16b, v{m}.4b[{i}]"},
		{"SMMLA", 0x4E80A400, "smmla v{d}.4s, v{n}.16b, v{m}.16b"},
	}},
	{"Products of halves of floats", []instruction{
		{"BFMMLA", 0x6E40EC00, "bfmmla v{d}.4s, v{n}.8h, v{m}.8h"},
	}},
	{"Integers", []instruction{
		{"MULB", 0x4E209C00, "mul v{d}.16b, v{n}.16b, v{m}.16b"},
		{"CMHI", 0x6E203400, "cmhi v{d}.16b, v{n}.16b, v{m}.16b"},
		{"USHL", 0x6E204400, "ushl v{d}.16b, v{n}.16b, v{m}.16b"},
		{"SXTL", 0x0F08A400, "sshll v{d}.8h, v{n}.8b, #0"},
		{"SXTL2", 0x4F08A400, "sshll2 v{d}.8h, v{n}.16b, #0"},
		{"SXTL4", 0x0F10A400, "sshll v{d}.4s, v{n}.4h, #0"},
		{"SXTL42", 0x4F10A400, "sshll2 v{d}.4s, v{n}.8h, #0"},
		{"SSHL", 0x4E204400, "sshl v{d}.16b, v{n}.16b, v{m}.16b"},
		{"NEG", 0x6EA0B800, "neg v{d}.4s, v{n}.4s"},
		{"SSHR1", 0x4F3F0400, "sshr v{d}.4s, v{n}.4s, #1"},
	}},
	{"Conversions", []instruction{
		{"SCVTF", 0x4E21D800, "scvtf v{d}.4s, v{n}.4s"},
		{"SCVTF4", 0x4F3CE400, "scvtf v{d}.4s, v{n}.4s, #4"},
		{"SCVTF24", 0x4F28E400, "scvtf v{d}.4s, v{n}.4s, #24"},
		{"SCVTF28", 0x4F24E400, "scvtf v{d}.4s, v{n}.4s, #28"},
		{"FCVTAS", 0x4E21C800, "fcvtas v{d}.4s, v{n}.4s"},
		{"FCVTZS", 0x4EA1B800, "fcvtzs v{d}.4s, v{n}.4s"},
		{"FCVTNS", 0x4E21A800, "fcvtns v{d}.4s, v{n}.4s"},
		{"FCVTL", 0x0E217800, "fcvtl v{d}.4s, v{n}.4h"},
		{"FCVTL2", 0x4E217800, "fcvtl2 v{d}.4s, v{n}.8h"},
		{"FCVTN", 0x0E216800, "fcvtn v{d}.4h, v{n}.4s"},
		{"FCVTN2", 0x4E216800, "fcvtn2 v{d}.8h, v{n}.4s"},
		{"BFCVTN", 0x0EA16800, "bfcvtn v{d}.4h, v{n}.4s"},
		{"FRINTN", 0x4E218800, "frintn v{d}.4s, v{n}.4s"},
	}},
	{"Floats", []instruction{
		{"FADD", 0x4E20D400, "fadd v{d}.4s, v{n}.4s, v{m}.4s"},
		{"FSUB", 0x4EA0D400, "fsub v{d}.4s, v{n}.4s, v{m}.4s"},
		{"FMUL", 0x6E20DC00, "fmul v{d}.4s, v{n}.4s, v{m}.4s"},
		{"FMULI", 0x4F809000, "fmul v{d}.4s, v{n}.4s, v{m}.s[{i}]"},
		{"FMLA", 0x4E20CC00, "fmla v{d}.4s, v{n}.4s, v{m}.4s"},
		{"FMLAI", 0x4F801000, "fmla v{d}.4s, v{n}.4s, v{m}.s[{i}]"},
		{"FDIV", 0x6E20FC00, "fdiv v{d}.4s, v{n}.4s, v{m}.4s"},
		{"FMAX", 0x4E20F400, "fmax v{d}.4s, v{n}.4s, v{m}.4s"},
		{"FMIN", 0x4EA0F400, "fmin v{d}.4s, v{n}.4s, v{m}.4s"},
		{"FABS", 0x4EA0F800, "fabs v{d}.4s, v{n}.4s"},
		{"FNEG", 0x6EA0F800, "fneg v{d}.4s, v{n}.4s"},
		{"FADDP", 0x6E20D400, "faddp v{d}.4s, v{n}.4s, v{m}.4s"},
		{"FADDP2", 0x7E30D800, "faddp s{d}, v{n}.2s"},
		{"FMINV", 0x6EB0F800, "fminv s{d}, v{n}.4s"},
		{"FMAXV", 0x6E30F800, "fmaxv s{d}, v{n}.4s"},
	}},
}

// Macro returns the definition of an instruction's macro.
func (n instruction) Macro() string {
	places := map[string]string{"d": "(d)", "n": "(n)<<5", "m": "(m)<<16", "i": "((i)&1)<<21 | ((i)>>1)<<11"}
	var names []string
	expr := ""
	for _, operand := range regexp.MustCompile(`{(.)}`).FindAllStringSubmatch(n.text, -1) {
		names = append(names, operand[1])
		expr = " | " + places[operand[1]] + expr
	}
	return fmt.Sprintf("#define %-19s %-43s // %s", n.name+"("+strings.Join(names, ", ")+")", fmt.Sprintf("WORD $(0x%08X%s)", n.word, expr),
		n.text)
}
