package chat

import (
	"context"
	"testing"
)

func BenchmarkRender(b *testing.B) {
	cases := goldenCases(b)
	for format, tpl := range map[string]*Template{"builtin": Builtin(), "template": oracle(b)} {
		for name, markup := range map[string][]string{"plain": nil, "marked": gemmaMarkup} {
			b.Run(format+"/"+name, func(b *testing.B) {
				for b.Loop() {
					for _, c := range cases {
						if _, err := tpl.Render(context.Background(), c.Conversation, markup); err != nil {
							b.Fatal(err)
						}
					}
				}
			})
		}
	}
}
