package vigilotel_test

import (
	"context"
	"fmt"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	vigilotel "github.com/vigil-go/vigil/vigildebug/otel"
)

// Trace loads that requests share. An exporter would take the recorder's place.
func ExampleGroup() {
	recorder := tracetest.NewSpanRecorder()
	pages := vigilotel.NewGroup[string, string](&vigilotel.Options{
		Name:           "pages",
		TracerProvider: sdk.NewTracerProvider(sdk.WithSpanProcessor(recorder)),
	})
	page, shared, err := pages.Do(context.Background(), "/index", func(context.Context) (string, error) {
		return "hello", nil
	})
	fmt.Println(page, shared, err)
	for _, span := range recorder.Ended() {
		fmt.Println(span.Name())
	}
	// Output:
	// hello false <nil>
	// pages load
	// pages wait
}
