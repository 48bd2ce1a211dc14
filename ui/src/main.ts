import { mount } from "svelte";
import App from "./App.svelte";
import { app } from "./app.svelte";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/list.css";
import "./styles/forms.css";
import "./styles/pages.css";
import "./styles/folders.css";
import "./styles/screens.css";

void app.begin();

export default mount(App, { target: document.getElementById("app")! });
