package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/cmd/gemma4/internal/clitest"
	"github.com/gogemma/gemma4/internal/testdata"
	"github.com/gogemma/gemma4/nano"
)

// sample returns the path of a picture or a sound that nano knows what to say about.
func sample(t testing.TB, name string) string {
	t.Helper()
	return filepath.Join(testdata.Root(t), "nano", "testdata", "media", name)
}

// deaf returns the path of nano without what it sees and hears with.
func deaf(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "deaf.gguf")
	if err := os.WriteFile(path, nano.GGUF(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// made writes a file.
func made(t *testing.T, name, data string) string {
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const heic = "\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"

func TestPicturesAndSoundsOfFlagsAreInTheMessage(t *testing.T) {
	one, two, question := sample(t, "picture-1.png"), sample(t, "picture-2.png"), sample(t, "sound-1.wav")
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"-image", one, "How many shapes are there?"}, "There are 3 shapes.\n"},
		{[]string{"-image", two, "-budget", "low", "What color is the square?"}, "The square is blue.\n"},
		{[]string{"-audio", question}, "The opposite of 'dry' is 'wet'.\n"},
		{[]string{"-audio", question, "Transcribe."}, "What is the opposite of dry?\n"},
	} {
		if o := run.Call("", append([]string{"-temp", "0"}, test.args...)...); o != (clitest.Output{Out: test.want}) {
			t.Errorf("%q: %+v, want %q", test.args, o, test.want)
		}
	}
	const note = "(picture-1.png is a picture, seen as 480 × 288 pixels: 60 tokens)\n"
	o := run.Call("How many shapes are there?\n", "-temp", "0", "-image", one)
	if o != (clitest.Output{Out: "There are 3 shapes.\n", Errors: note}) {
		t.Errorf("with the first message of a conversation: %+v", o)
	}
}

func TestFilesAreAttachedToTheNextMessage(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "it's a picture.png")
	data, err := os.ReadFile(sample(t, "picture-4.png"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	question := sample(t, "sound-1.wav")
	const seen = "(it's a picture.png is a picture, seen as 384 × 384 pixels: 64 tokens)\n"
	const ask, answer = "What do you see?\n", "A blue triangle.\n"
	escaped := strings.NewReplacer(" ", `\ `, "'", `\'`).Replace(name)
	for _, test := range []struct{ what, lines, out, errors string }{
		{"by command", "/image " + name + "\n" + ask, answer, seen},
		{"by command, escaped", "/image " + escaped + " \n" + ask, answer, seen},
		{"dropped, as it is", name + "\n" + ask, answer, seen},
		{"dropped, escaped", escaped + " " + ask, answer, seen},
		{"dropped, in quotes", "'" + strings.ReplaceAll(name, "'", `'\''`) + "' " + ask, answer, seen},
		{"dropped, in double quotes", `"` + name + `" ` + ask, answer, seen},
		{"dropped, as a URL", "file://" + strings.ReplaceAll(name, " ", "%20") + " " + ask, answer, seen},
		{"what is said needs no text", question + "\n\n", "The opposite of 'dry' is 'wet'.\n",
			"(sound-1.wav is a sound of 1.6 s: 39 tokens; an empty line says it)\n"},
		{"an empty line says no picture", escaped + "\n\n" + ask, answer, seen},
		{"at another budget", "/set budget 140\n/image " + name + "\n/clear\n", "",
			"(it's a picture.png is a picture, seen as 528 × 528 pixels: 121 tokens)\n"},
		{"forgotten", "/image " + name + "\n/clear\nWhat is 2 + 3?\n", "2 + 3 = 5\n", seen},
		{"a text of several lines is text", `"""` + "What is 2 + 3?" + `"""` + "\n", "2 + 3 = 5\n", ""},
	} {
		if o := run.Call(test.lines, "-temp", "0"); o != (clitest.Output{Out: test.out, Errors: test.errors}) {
			t.Errorf("%s: %+v, want %q and %q", test.what, o, test.out, test.errors)
		}
	}
}

func TestTextIsNoDroppedFile(t *testing.T) {
	notes, photo := made(t, "notes.txt", "buy milk"), made(t, "photo.heic", heic)
	for _, text := range []string{
		"", "What is 2 + 3?", "'It is'", `"`, `'`, "\\", "/help", notes, `"` + notes + `" what is it?`, filepath.Dir(photo), "photo.heic",
		"file://", "file:///", "http://example.org/photo.png", "see " + photo, photo + ".", "'" + photo,
	} {
		if paths, rest := dropped(text); len(paths) > 0 || rest != text {
			t.Errorf("%q: %q, %q", text, paths, rest)
		}
	}
	escaped := strings.ReplaceAll(photo, " ", `\ `)
	if paths, rest := dropped(escaped + " '" + photo + "' and then"); len(paths) != 2 || paths[1] != photo || rest != "and then" {
		t.Errorf("two files: %q, %q", paths, rest)
	}
}

func TestASessionKeepsItsPictures(t *testing.T) {
	file := filepath.Join(t.TempDir(), "talk")
	run.Good(t, "How many shapes are there?\n", "-temp", "0", "-session", file, "-image", sample(t, "picture-1.png"))
	o := run.Call("/show messages\n/regenerate\n/undo\n", "-temp", "0", "-session", file)
	want := clitest.Output{Out: "There are 3 shapes.\n", Errors: "user: [picture] How many shapes are there?\n" +
		"assistant: There are 3 shapes.\n(forgotten: [picture] \"How many shapes are there?\")\n"}
	if o != want {
		t.Errorf("%+v, want %+v", o, want)
	}
}

func TestWhatAToolReturnsHasNoPictures(t *testing.T) {
	tools, file := made(t, "tools.json", weather), filepath.Join(t.TempDir(), "talk")
	run.Good(t, "What is the weather in Oslo?\n", "-temp", "0", "-tools", tools, "-session", file)
	run.Fails(t, 1, "what the tool get_weather returns is expected", "", "-session", file, "-image", sample(t, "picture-1.png"), "rainy")
}

func TestFilesThatAreRefusedSayWhy(t *testing.T) {
	photo, picture, question := made(t, "photo.heic", heic), sample(t, "picture-1.png"), sample(t, "sound-1.wav")
	missing := filepath.Join(t.TempDir(), "missing.png")
	const command = "photo.heic: HEIC is not decoded here; ffmpeg -i "
	for _, test := range []struct {
		want, stdin string
		args        []string
	}{
		{command, "", []string{"-image", photo, "What is it?"}},
		{command, "/image " + photo + "\n", nil},
		{"photo.png makes a PNG of it", photo + "\n", nil},
		{"without a projector of pictures, a file such as mmproj-….gguf (-mmproj FILE, or beside", "",
			[]string{"-m", deaf(t), "-image", missing, "What is it?"}},
		{"without a projector of sounds", "", []string{"-m", deaf(t), "-audio", missing}},
		{"without a projector", picture + "\n", []string{"-m", deaf(t)}},
		{"missing.png", "", []string{"-image", missing, "What is it?"}},
		{"missing.png", "/video " + missing + "\n", nil},
		{"WAV is sound", "", []string{"-image", question, "What is it?"}},
		{"no format of sound", "", []string{"-audio", picture}},
		{"a sound, not a video", "", []string{"-video", question, "What is it?"}},
	} {
		run.Fails(t, 1, test.want, test.stdin, test.args...)
	}
	run.Fails(t, 2, "unknown budget", "", "-budget", "300", "Hello")
	run.Fails(t, 2, "expected a file", "", "-image", "", "Hello")
	run.Fails(t, 2, "goes without -audio", "", "-raw", "-audio", "x.wav", "Hello")
}

func TestTabCompletesCommandsAndPaths(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"my picture.png", "my sound.wav", "other.png", ".hidden"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "photos"), 0o700); err != nil {
		t.Fatal(err)
	}
	in := dir + string(filepath.Separator)
	for _, test := range []struct {
		before, more string
		ok           bool
	}{
		{"/im", "age ", true},
		{"/s", "", true}, // system, set, show, save
		{"/nonsense", "", true},
		{"/image " + in + "m", "y ", true},
		{"/image " + in + "my p", "icture.png", true},
		{"/audio " + in + "o", "ther.png", true},
		{"/save " + in + "ph", "otos" + string(filepath.Separator), true},
		{"/load " + in + ".h", "idden", true},
		{"/image " + in, "", true},
		{"/system a", "", false},
		{"text", "", false},
		{"", "", false},
	} {
		if more, ok := completeLine(test.before); more != test.more || ok != test.ok {
			t.Errorf("%q: %q, %v; want %q, %v", test.before, more, ok, test.more, test.ok)
		}
	}
}
