return require("nginx.cookie")
