"use strict";
const { waitingRoom } = require("./lib/middleware.js");
const { PassVerifier, REASONS } = require("./lib/tokens.js");

module.exports = { PassVerifier, REASONS, waitingRoom };
