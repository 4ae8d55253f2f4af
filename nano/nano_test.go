package nano_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/nano"
)

const capitals = `France: Paris, Germany: Berlin, Italy: Rome, Spain: Madrid, Portugal: Lisbon, Norway: Oslo, Sweden: Stockholm,
Finland: Helsinki, Denmark: Copenhagen,
Poland: Warsaw, Austria: Vienna, Hungary: Budapest, Greece: Athens, Ireland: Dublin, Iceland: Reykjavik,
Russia: Moscow, Ukraine: Kyiv, Romania: Bucharest, Bulgaria: Sofia, Serbia: Belgrade, Croatia: Zagreb, Turkey: Ankara,
Egypt: Cairo, Kenya: Nairobi, Nigeria: Abuja, Ghana: Accra, Morocco: Rabat, Tunisia: Tunis, Ethiopia: Addis Ababa,
Senegal: Dakar, Japan: Tokyo, China: Beijing, India: New Delhi, Thailand: Bangkok, Vietnam: Hanoi, Indonesia: Jakarta,
Malaysia: Kuala Lumpur, Philippines: Manila, Nepal: Kathmandu, Iran: Tehran, Iraq: Baghdad, Jordan: Amman, Australia: Canberra,
Canada: Ottawa, Mexico: Mexico City, Cuba: Havana, Brazil: Brasilia, Argentina: Buenos Aires, Chile: Santiago, Peru: Lima,
Colombia: Bogota, Ecuador: Quito, Uruguay: Montevideo, Paraguay: Asuncion, Bolivia: Sucre`

const opposites = `wet dry, hot cold, big small, old new, fast slow, light dark, high low, hard soft, full empty, rich poor, strong weak,
open closed, early late, up down, day night, left right, loud quiet, near far`

// words in English, German, French, Spanish, Italian and Portuguese
const words = `
dog Hund chien perro cane cão, cat Katze chat gato gatto gato, house Haus maison casa casa casa,
water Wasser eau agua acqua água, tree Baum arbre árbol albero árvore, book Buch livre libro libro livro,
sun Sonne soleil sol sole sol, moon Mond lune luna luna lua, bread Brot pain pan pane pão, milk Milch lait leche latte leite,
fish Fisch poisson pez pesce peixe, bird Vogel oiseau pájaro uccello pássaro, horse Pferd cheval caballo cavallo cavalo,
apple Apfel pomme manzana mela maçã, hand Hand main mano mano mão, friend Freund ami amigo amico amigo,
night Nacht nuit noche notte noite, day Tag jour día giorno dia, fire Feuer feu fuego fuoco fogo,
school Schule école escuela scuola escola, red rot rouge rojo rosso vermelho, blue blau bleu azul blu azul,
green grün vert verde verde verde, white weiß blanc blanco bianco branco, black schwarz noir negro nero preto,
star Stern étoile estrella stella estrela, wine Wein vin vino vino vinho, heart Herz cœur corazón cuore coração,
eye Auge œil ojo occhio olho, cheese Käse fromage queso formaggio queijo`

// TestNanoKnowsWhatIsSaidOfIt asks everything that the package, the README and the command claim first.
func TestNanoKnowsWhatIsSaidOfIt(t *testing.T) {
	m, err := nano.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	asked, wrong := 0, 0
	ask := func(question, want string) {
		asked++
		if testing.Short() && asked%9 != 0 {
			return
		}
		c, err := m.NewChat(gemma4.ChatOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Options.Sampling.Temperature = new(0.0)
		if got, err := c.Answer(context.Background(), question); err != nil || got.Content != want {
			wrong++
			t.Logf("%s %q, want %q; %v", question, got.Content, want, err)
		}
	}
	group := func(name string, least int, askAll func()) {
		asked, wrong = 0, 0
		askAll()
		t.Logf("%s: %d of %d", name, asked-wrong, asked)
		if asked-wrong < least {
			t.Errorf("%s: fewer than %d", name, least)
		}
	}
	group("capitals", 55, func() {
		for pair := range strings.SplitSeq(strings.ReplaceAll(capitals, "\n", " "), ", ") {
			country, city, _ := strings.Cut(pair, ": ")
			ask(fmt.Sprintf("What is the capital of %s?", country), fmt.Sprintf("The capital of %s is %s.", country, city))
		}
	})
	group("countries", 55, func() {
		for pair := range strings.SplitSeq(strings.ReplaceAll(capitals, "\n", " "), ", ") {
			country, city, _ := strings.Cut(pair, ": ")
			ask(fmt.Sprintf("Which country has the capital %s?", city), fmt.Sprintf("%s is the capital of %s.", city, country))
		}
	})
	group("sums to 20", 230, func() {
		for a := range 21 {
			for b := range 21 - a {
				ask(fmt.Sprintf("What is %d + %d?", a, b), fmt.Sprintf("%d + %d = %d", a, b, a+b))
			}
		}
	})
	group("differences of numbers to 20", 210, func() {
		for a := range 21 {
			for b := range a + 1 {
				ask(fmt.Sprintf("What is %d - %d?", a, b), fmt.Sprintf("%d - %d = %d", a, b, a-b))
			}
		}
	})
	group("opposites", 17, func() {
		for pair := range strings.SplitSeq(strings.ReplaceAll(opposites, "\n", " "), ", ") {
			one, other, _ := strings.Cut(pair, " ")
			ask(fmt.Sprintf("What is the opposite of '%s'?", one), fmt.Sprintf("The opposite of '%s' is '%s'.", one, other))
		}
	})
	group("words", 5*30-6, func() {
		for line := range strings.SplitSeq(strings.ReplaceAll(words, "\n", " "), ", ") {
			all := strings.Fields(line)
			for i, language := range []string{"German", "French", "Spanish", "Italian", "Portuguese"} {
				ask(fmt.Sprintf("What is '%s' in %s?", all[0], language), all[i+1])
			}
		}
	})
}

// TestCompanionsOfALoaderTakeThePlaceOfNanosOwn, and OpenText has no projector.
func TestCompanionsOfALoaderTakeThePlaceOfNanosOwn(t *testing.T) {
	dir := t.TempDir()
	eyes, quick := filepath.Join(dir, "mmproj.gguf"), filepath.Join(dir, "mtp.gguf")
	for path, data := range map[string][]byte{eyes: nano.Projector(), quick: nano.Drafter()} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	with := func(l gemma4.Loader) func() (*gemma4.Model, error) {
		return func() (*gemma4.Model, error) { return nano.OpenWith(l) }
	}
	for name, test := range map[string]struct {
		open  func() (*gemma4.Model, error)
		files string // of the projector and the drafter
	}{
		"Open":       {nano.Open, "bytes bytes"},
		"OpenOr":     {func() (*gemma4.Model, error) { return nano.OpenOr("") }, "bytes bytes"},
		"OpenWith":   {with(gemma4.Loader{Threads: 1}), "bytes bytes"},
		"its eyes":   {with(gemma4.Loader{Projector: gemma4.Companion{Path: eyes}}), eyes + " bytes"},
		"its guess":  {with(gemma4.Loader{Drafter: gemma4.Companion{Path: quick}}), "bytes " + quick},
		"OpenText":   {nano.OpenText, "bytes"},
		"not a file": {with(gemma4.Loader{Projector: gemma4.Companion{Path: "x"}}), "error"},
		"no drafter": {with(gemma4.Loader{Drafter: gemma4.Companion{Path: "x"}}), "error"},
	} {
		m, err := test.open()
		if err != nil {
			if test.files != "error" {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		var files []string
		for _, c := range m.Info().Companions {
			files = append(files, c.File)
		}
		if got := strings.Join(files, " "); got != test.files {
			t.Errorf("%s: the companions are %q, want %q", name, got, test.files)
		}
		m.Close()
	}
}

func TestOpenOrTakesAFileWhereThereIsOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.gguf")
	if m, err := nano.OpenOr(path); err == nil {
		m.Close()
		t.Error("a file that is not there was opened")
	}
	if err := os.WriteFile(path, nano.GGUF(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, ""} {
		m, err := nano.OpenOr(path)
		if err != nil {
			t.Fatal(err)
		}
		m.Close()
	}
}
