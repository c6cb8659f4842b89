// Command tail prints what happens to the canaries of one namespace, a line per fact.
//
//	NATS_URL=nats://tap:password@nats:4222 tail shop
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"

	"github.com/nats-io/nats.go"
)

type fact struct {
	Type   string
	Canary struct{ Namespace, Name string }
	Text   string
}

func main() {
	bus, err := nats.Connect(os.Getenv("NATS_URL"))
	if err != nil {
		log.Fatal(err)
	}
	_, err = bus.Subscribe("serinus.fact.*.*."+os.Args[1]+".*", func(message *nats.Msg) {
		var found fact
		if err := json.Unmarshal(message.Data, &found); err != nil {
			log.Print(err)
			return
		}
		fmt.Printf("%s %s/%s %s\n", found.Type, found.Canary.Namespace, found.Canary.Name, found.Text)
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening")
	select {}
}
