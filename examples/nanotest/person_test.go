package nanotest

import (
	"testing"

	"github.com/gogemma/gemma4/nano"
)

func TestParse(t *testing.T) {
	m, err := nano.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for sentence, want := range map[string]Person{
		"Olga is 44 years old and lives in Rome.":      {"Olga", 44, "Rome"},
		"Ben is 7 years old and lives in New Delhi.":   {"Ben", 7, "New Delhi"},
		"Viktor is 81 years old and lives in Nairobi.": {"Viktor", 81, "Nairobi"},
	} {
		if got, err := Parse(t.Context(), m, sentence); err != nil || got != want {
			t.Errorf("%s %+v, %v; want %+v", sentence, got, err, want)
		}
	}
}

func TestParseRefusesWhatTheModelMakesUp(t *testing.T) {
	m, err := nano.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if p, err := Parse(t.Context(), m, "Why?"); err == nil {
		t.Errorf("%+v, want an error", p)
	}
}
