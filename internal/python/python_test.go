package python

import "testing"

func TestTextIsAsPythonHasIt(t *testing.T) {
	for _, test := range []struct {
		name      string
		f         func(string) string
		s, result string
	}{
		{"upper", Upper, "straße ŉ ﬁ", "STRASSE ʼN FI"},
		{"upper", Upper, "aZ1_", "AZ1_"},
		{"lower", Lower, "aZ1_", "az1_"},
		{"lower", Lower, "ΑΣ ΑΣΑ Σ İ", "ας ασα σ i\u0307"},
		{"lower, through what stands inside a word", Lower, "Α.Σ. Α.Σ.Α 'Σ' ΣΣ", "α.ς. α.σ.α 'σ' σς"},
		{"repr", Quote, "a'b\n\\\x00é\u200b\U000e0001", `"a'b\n\\\x00é\u200b\U000e0001"`},
		{"repr", Quote, `'"`, `'\'"'`},
		{"ascii", ASCII, "é€𝄞", `\xe9\u20ac\U0001d11e`},
	} {
		if got := test.f(test.s); got != test.result {
			t.Errorf("%s of %q: %q, want %q", test.name, test.s, got, test.result)
		}
	}
	for f, want := range map[float64]string{0: "0.0", 1e16: "1e+16", 0.0001: "0.0001", 1e-05: "1e-05", 1.5: "1.5"} {
		if got := FormatFloat(f); got != want {
			t.Errorf("%v: %q, want %q", f, got, want)
		}
	}
	for s, want := range map[string]int64{" -1_000 ": -1000, "0x1f": 31, "٣": 3} {
		base := int64(10)
		if s == "0x1f" {
			base = 0
		}
		if got, err := ParseInt(s, base); got != want || err != nil {
			t.Errorf("int(%q): %d, %v, want %d", s, got, err, want)
		}
	}
}
